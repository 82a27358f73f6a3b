// SPDX-License-Identifier: Apache-2.0
//! Holds requests while a service is paused: so many, for so long, then 503.

use super::Stop;
use super::answer::Answer;
use super::live::Live;
use super::visit::Visit;
use crate::client::Client;
use crate::page;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Requests held for one service. Each costs its connection and its head.
const MAX_HELD: usize = 1000;

/// How many are held now, whatever became of the policy they were held under.
#[derive(Default)]
pub(crate) struct Held(AtomicUsize);

impl Held {
    fn enter(&self) -> Option<Place<'_>> {
        let place = Place(self);
        (self.0.fetch_add(1, Relaxed) < MAX_HELD).then_some(place)
    }
}

struct Place<'a>(&'a Held);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

pub(super) async fn check(client: &mut Client, live: &Live, visit: &Visit<'_>) -> Result<(), Stop> {
    let Some(pause) = live.source.pause.as_ref().filter(|pause| pause.on) else { return Ok(()) };
    // Before the look at the table, so that no change between the two is missed.
    let mut replaced = std::pin::pin!(live.replaced.notified());
    replaced.as_mut().enable();
    if client
        .worker
        .registry
        .policy(visit.host.as_bytes(), visit.target)
        .is_none_or(|now| !std::ptr::eq(&*now, live))
    {
        return Err(Stop::Again);
    }
    let refused = || Answer::page(page::PAUSED).line("Retry-After", "5");
    let Some(_place) = live.held.enter() else { return Err(refused().into()) };
    client.worker.deadlines.set(&client.watch, Duration::from_secs(pause.max_wait.into()));
    let watch = client.watch.clone();
    // Who leaves makes room for another.
    let replaced = async {
        tokio::select! { () = replaced => true, () = client.gone() => false }
    };
    match watch.in_time(replaced).await {
        Some(true) => Err(Stop::Again),
        _ => Err(refused().into()),
    }
}
