// SPDX-License-Identifier: Apache-2.0
//! Answers that say how long they are good, kept for so long (a shared cache, RFC 9111). `freshness` says which,
//! `store` where; here is the way of a request through it.
//!
//! ```text
//! find ── kept ──▶ answered from memory
//!   │ somebody asks already: wait, find again
//!   ▼
//! ask the upstream ──▶ Recorder sees head and body pass ──▶ put
//! ```
//! Answers are kept as they leave, compressed for those who take it, so that one from memory costs a copy.

pub(super) mod freshness;
mod store;

pub(crate) use store::Store;

use super::answer::Answer;
use super::compress::Coding;
use super::edit::{self, push, value, values};
use super::live::Live;
use super::visit::Visit;
use crate::client::Client;
use crate::http1::body::Length;
use hop3_core::policy::Cache;
use jiff::Timestamp;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Found, Kept, Key};

/// How long a request waits for another one that asks the same.
const PATIENCE: Duration = Duration::from_secs(5);

impl Live {
    pub(super) fn new_store(cache: Option<&Cache>) -> Option<Arc<Store>> {
        cache.filter(|cache| cache.on).map(|cache| Arc::new(Store::new(cache.max_size)))
    }
}

/// Answers from memory, or says what is to be done with the upstream's answer.
pub(super) async fn check(client: &Client, live: &Live, visit: &mut Visit<'_>) -> Result<(), Answer> {
    let (Some(store), Some(cache)) = (&live.store, &live.source.cache) else { return Ok(()) };
    if !is_fit(live, visit) {
        return Ok(());
    }
    let coding = live.coding(visit.accepts.as_deref().unwrap_or_default());
    let key = key(visit, coding);
    let suits = |kept: &Kept| suits(visit, kept);
    client.worker.deadlines.set(&client.watch, PATIENCE);
    loop {
        match store.find(&key, suits) {
            Found::Kept(kept) => return Err(answer(visit, &kept)),
            // An answer without a body is no use to those who want one.
            Found::Ask if visit.method == "HEAD" => {
                store.asked(&key);
                return Ok(());
            }
            Found::Ask => break,
            Found::Wait(notify) => {
                let mut asked = pin!(notify.notified());
                asked.as_mut().enable();
                if store.is_pending(&key, &notify) && client.in_time(asked).await.is_none() {
                    return Ok(());
                }
            }
        }
    }
    let asking = Asking { store: store.clone(), key };
    let headers = visit.headers().iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
    visit.recording = Some(Recording {
        asking,
        headers,
        has_cookie: visit.header("cookie").is_some(),
        max: usize::try_from(cache.max_entry_size).unwrap_or(usize::MAX),
    });
    Ok(())
}

/// A request whose answer may be another's: it changes nothing and says nothing about who asks. Where another service
/// tells the upstream who asks, no answer is anybody else's.
fn is_fit(live: &Live, visit: &Visit<'_>) -> bool {
    let has_password = visit.header("authorization").is_some() && !visit.edit.removes("Authorization");
    let is_known = live.source.forward_auth.as_ref().is_some_and(|auth| auth.on);
    let text = |name| visit.header(name).unwrap_or_default();
    matches!(visit.method, "GET" | "HEAD")
        // Two apps answer at the same address.
        && live.canary.is_none()
        && matches!(visit.length, Length::None | Length::Exact(0))
        && !has_password
        && !is_known
        && visit.header("range").is_none()
        && visit.header("upgrade").is_none()
        && !freshness::bypasses(text("cache-control"), text("pragma"))
}

fn key(visit: &Visit<'_>, coding: Option<Coding>) -> Key {
    let host = visit.host.to_ascii_lowercase();
    format!("{} {}://{host}{}", coding.map_or("", Coding::name), visit.scheme, visit.target).into()
}

fn suits(visit: &Visit<'_>, kept: &Kept) -> bool {
    (kept.freshness.is_public || visit.header("cookie").is_none())
        && kept.vary.iter().all(|(name, value)| all_of(visit.headers(), name) == *value)
}

/// The values of all headers of a name, as one.
fn all_of(headers: &[(&str, &[u8])], name: &str) -> Vec<u8> {
    let of_name = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    of_name.map(|(_, value)| *value).collect::<Vec<_>>().join(&b", "[..])
}

fn answer(visit: &Visit<'_>, kept: &Kept) -> Answer {
    let age = kept.age + kept.since.elapsed().as_secs();
    let mut lines = kept.head.clone();
    push(&mut lines, "Age", &age.to_string());
    push(&mut lines, "Cache-Status", "hop3; hit");
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let etag = edit::line_value(&kept.head, "ETag").map(weak);
    let known = visit.header("if-none-match").unwrap_or_default();
    let is_known = etag.is_some_and(|etag| known.split(',').any(|tag| weak(tag) == etag));
    match is_known && kept.status == 200 {
        true => Answer::kept(304, lines, Vec::new()),
        false => Answer::kept(kept.status, lines, kept.body.clone()),
    }
}

/// This request asks for all who want the same; when it ends, whatever came of it, they look again.
struct Asking {
    store: Arc<Store>,
    key: Key,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.store.asked(&self.key);
    }
}

/// What is needed to keep the answer of a request, should it be worth it.
pub(crate) struct Recording {
    asking: Asking,
    headers: Vec<(String, Vec<u8>)>,
    has_cookie: bool,
    max: usize,
}

impl Recording {
    /// Looks at the head that begins at `from`; `None` when the answer is not to be kept, which lets others go on.
    pub(super) fn begin(self, out: &[u8], from: usize, status: u16) -> Option<Box<Recorder>> {
        let head = &out[from..];
        let freshness = freshness::of(head, status, Timestamp::now())?;
        if self.has_cookie && !freshness.is_public {
            return None;
        }
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let named = values(head, "Vary").flat_map(|line| line.split(','));
        let vary = named
            .map(str::trim)
            // The coding is part of the key.
            .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("accept-encoding"))
            .map(|name| (name.to_owned(), all_of(&headers, name)))
            .collect();
        let kept = Kept {
            status,
            head: edit::kept_lines(head),
            body: Vec::new(),
            vary,
            since: Instant::now(),
            age: value(head, "Age").and_then(|age| age.parse().ok()).unwrap_or(0),
            freshness,
        };
        Some(Box::new(Recorder { asking: self.asking, kept, max: self.max }))
    }
}

/// Keeps a copy of an answer that passes.
pub(crate) struct Recorder {
    asking: Asking,
    kept: Kept,
    max: usize,
}

impl Recorder {
    /// Takes a piece of body as it leaves; false when it has become too much.
    pub(crate) fn push(&mut self, data: &[u8]) -> bool {
        self.kept.body.extend_from_slice(data);
        self.kept.body.len() <= self.max
    }

    /// The answer came whole.
    pub(crate) fn finish(mut self) {
        self.kept.body.shrink_to_fit();
        self.asking.store.put(&self.asking.key, self.kept);
    }
}

#[cfg(test)]
mod tests;
