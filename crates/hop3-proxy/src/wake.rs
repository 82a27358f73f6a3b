// SPDX-License-Identifier: Apache-2.0
//! Requests for a service whose upstreams are away: they are held while somebody is asked, once for all of them, to
//! bring the upstreams up. Then the route is looked up anew.
//!
//! ```text
//! request ──▶ no upstream ──▶ place in the queue ──▶ wait for a change of the service ──▶ look the route up anew
//!                 │ first one        │ none left        │ 30 s, a browser 5 s: page "starting"
//!                 └─▶ ask            └─▶ 503            │ failed: page that says so
//! ```
//! The asker waits for the answer as long as it takes and asks again when the connection breaks: whoever wakes may be
//! away for a moment itself.

use crate::client::{Client, header_of};
use crate::deadline::Watch;
use crate::page::{self, Page, prefers_html};
use crate::registry::Registry;
use crate::table::{LivePool, LiveService};
use crate::worker::Worker;
use hop3_core::route::{OnDemand, Woken};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Between two attempts to reach the one who wakes.
const PAUSE: std::ops::Range<Duration> = Duration::from_millis(5)..Duration::from_millis(200);
/// It said that it is done, and the table does not show it: it is not asked again at once.
const DOUBT: Duration = Duration::from_millis(50);
/// After a failure nobody is asked again so soon: requests must not start an instance that crashes again and again.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// What all threads know of a service's sleep, kept over changes of it.
#[derive(Default)]
pub(crate) struct Sleeper {
    changed: Notify,
    waiting: AtomicU32,
    is_asked: AtomicBool,
    failures: AtomicU64,
    failed: Mutex<Option<Instant>>,
}

impl Sleeper {
    /// The service is another one now.
    pub(crate) fn changed(&self) {
        self.changed.notify_waiters();
    }

    fn fail(&self) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.failures.fetch_add(1, SeqCst);
    }

    fn has_just_failed(&self) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|at| at.elapsed() < AFTER_FAILURE)
    }

    fn enter(&self, most: u32) -> Option<Place<'_>> {
        let before = self.waiting.fetch_add(1, SeqCst);
        let place = Place(self);
        (before < most).then_some(place)
    }
}

/// One request's place in the queue.
struct Place<'a>(&'a Sleeper);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

/// A service that was found asleep.
pub(crate) struct Asleep {
    pub(crate) service: Arc<LiveService>,
    pub(crate) pool: Arc<LivePool>,
}

/// Why a wait was in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Too many wait already.
    Crowded,
    /// Whoever wakes could not.
    NotWoken,
    Late,
    /// The proxy ends.
    Ending,
}

/// Waits until the service is another one; a page when that takes too long. `since` is when the request began to wait,
/// over several waits.
pub(crate) async fn hold(
    client: &mut Client,
    asleep: &Asleep,
    since: &mut Option<Instant>,
    head: &[u8],
) -> Option<Page> {
    let on_demand = asleep.pool.on_demand.as_ref()?;
    let is_person = head.starts_with(b"GET ") && prefers_html(&header_of(head, "accept"));
    let limit =
        if is_person { on_demand.patience_ms.min(on_demand.deadline_ms) } else { on_demand.deadline_ms };
    let until = *since.get_or_insert_with(Instant::now) + Duration::from_millis(limit);
    let (worker, watch) = (client.worker.clone(), client.watch.clone());
    match wait((&worker, &watch), asleep, until, client.gone()).await {
        Ok(()) => None,
        Err(Missed::Crowded) => Some(page::CROWDED),
        Err(Missed::NotWoken) => Some(page::NOT_WOKEN),
        Err(Missed::Late) => Some(if is_person { page::WAKING } else { page::STARTING }),
        Err(Missed::Ending) => Some(page::DOWN),
    }
}

/// Waits until the service is another one. Who has gone before that makes room for another.
pub(crate) async fn wait(
    (worker, watch): (&Worker, &Watch),
    asleep: &Asleep,
    until: Instant,
    gone: impl Future<Output = ()>,
) -> Result<(), Missed> {
    let (service, sleeper) = (&asleep.service, &asleep.service.sleeper);
    let Some(on_demand) = &asleep.pool.on_demand else { return Ok(()) };
    let Some(_place) = sleeper.enter(on_demand.queue) else { return Err(Missed::Crowded) };
    let mut changed = pin!(sleeper.changed.notified());
    changed.as_mut().enable();
    let failures = sleeper.failures.load(SeqCst);
    // Changed between the look-up and here: nobody will tell us.
    if !worker.registry.is_current(service) {
        return Ok(());
    }
    if sleeper.has_just_failed() {
        return Err(Missed::NotWoken);
    }
    if !sleeper.is_asked.swap(true, SeqCst) {
        let asked = Asked(service.clone());
        tokio::task::spawn_local(ask(worker.registry.clone(), asked, on_demand.clone()));
    }
    // The deadline here is this one's own; the watch tells when the proxy ends.
    worker.deadlines.set(watch, Duration::ZERO);
    let changed = async {
        tokio::select! { () = changed => true, () = gone => false }
    };
    match tokio::time::timeout_at(until, watch.in_time(changed)).await {
        Err(_elapsed) => Err(Missed::Late),
        Ok(None | Some(false)) => Err(Missed::Ending),
        Ok(Some(true)) if sleeper.failures.load(SeqCst) != failures => Err(Missed::NotWoken),
        Ok(Some(true)) => Ok(()),
    }
}

/// The one question under way; however it ends, the next request may ask again.
struct Asked(Arc<LiveService>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.sleeper.is_asked.store(false, SeqCst);
        self.0.sleeper.changed();
    }
}

async fn ask(registry: Arc<Registry>, asked: Asked, on_demand: OnDemand) {
    let sleeper = &asked.0.sleeper;
    let mut pause = PAUSE.start;
    loop {
        match ask_once(&on_demand, &asked.0.source.name).await {
            Ok(Woken::Done) if registry.is_current(&asked.0) => return tokio::time::sleep(DOUBT).await,
            Ok(Woken::Done) => return,
            Ok(Woken::Failed) => {
                return sleeper.fail();
            }
            Err(error) => tracing::debug!(%error, "whoever wakes is away"),
        }
        if sleeper.waiting.load(SeqCst) == 0 {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.end);
    }
}

async fn ask_once(on_demand: &OnDemand, service: &str) -> io::Result<Woken> {
    let mut stream = UnixStream::connect(&on_demand.socket).await?;
    stream.write_all(format!("{service}\n").as_bytes()).await?;
    let mut line = String::new();
    if BufReader::new(stream).read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}
