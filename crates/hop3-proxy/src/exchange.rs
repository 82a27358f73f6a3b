// SPDX-License-Identifier: Apache-2.0
//! One request brought to an upstream and its response brought back, over as many attempts as are safe.
//!
//! When is another attempt safe?
//! ```text
//! connect failed                     always, each time where the route leads then: a deployment replaces instances
//! kept connection, no byte back      idempotent and all that was sent is still here; or nothing was sent
//! fresh connection, no byte back     the same, once
//! refused by HTTP/2                  always: the upstream says that it did nothing (RFC 9113, 8.7)
//! any byte of a response arrived     never
//! ```
//! A kernel may take bytes for a connection that the upstream has already closed, so a request that is not
//! idempotent cannot know whether it was carried out: it uses fresh connections and kept ones that were found open
//! right before (`pool`), and is never repeated once bytes were taken.

use crate::access::Visit;
use crate::buffer::Buffer;
use crate::client::{After, Client};
use crate::deadline::Verdict;
use crate::download::{Download, DownloadError, Timing};
use crate::http1::forward::Request;
use crate::http1::request::{BAD_CHUNK, BODY_TOO_SLOW};
use crate::http1::response::Response;
use crate::limit::Limits;
use crate::page::{self, Page};
use crate::pool::Connection;
use crate::stream::Stream;
use crate::table::{LivePool, LiveService, LiveTarget};
use crate::upload::{Upload, UploadError};
use crate::upstream::{InFlight, Open};
use crate::wake::{self, Asleep};
use hop3_core::route::Speaks;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How a whole exchange ended, for the connection loop and the figures.
pub(crate) struct Ended {
    pub(crate) status: u16,
    pub(crate) after: After,
}

enum Attempt {
    Ended(Ended),
    NotConnected,
    /// Nothing came back, and the request may be sent again.
    Again,
    Answer(Page),
}

/// Brings a request, whose rewritten head is `head`, to an upstream of its route. `found` is the service that the table
/// of this moment has for it, where that is known.
pub(crate) async fn forward(
    client: &mut Client,
    mut found: Option<&Arc<LiveService>>,
    request: &Request,
    head: Buffer,
    visit: &mut Visit,
) -> Ended {
    let kept = client.worker.limits.replay_bytes.min(client.stream.share());
    let keep = if request.is_idempotent { kept } else { 0 };
    let plan = client.plan.clone();
    let mut upload = Upload::new(head, request.length, keep);
    if let Some(plan) = &plan {
        upload = upload.at_most(plan.max_body());
    }
    let mut search = Search::default();
    let page = loop {
        let (pool, in_flight) = match pick(client, found.take(), request, &upload.out) {
            Ok(picked) => picked,
            Err(Miss::Page(page)) => break page,
            Err(Miss::Asleep(asleep)) => {
                match Box::pin(wake::hold(client, &asleep, &mut search.held_since, &upload.out)).await {
                    None => continue,
                    Some(page) => break page,
                }
            }
        };
        search.picked(in_flight.upstream().is_healthy());
        if pool.speaks == Speaks::H2c {
            // It may be refused, whatever it is.
            upload.keep(kept);
        }
        let upstream = in_flight.upstream().clone();
        client.watch.hold(Some(in_flight));
        let kept = (!search.wants_fresh).then(|| client.worker.pool.take(&upstream, !request.is_idempotent));
        let connection = match kept.flatten() {
            None => Box::pin(connect(client, &pool, &upstream)).await,
            kept => kept,
        };
        let attempt = match connection {
            Some(connection) => {
                Box::pin(attempt(client, (request, visit), &mut upload, &pool, connection)).await
            }
            None => Attempt::NotConnected,
        };
        match attempt {
            Attempt::Ended(ended) => return ended,
            Attempt::Answer(page) => break page,
            Attempt::Again if search.may_repeat() && upload.rewind() => {}
            Attempt::Again => break page::BROKEN,
            Attempt::NotConnected => {
                upstream.failed();
                client.watch.hold(None);
                if !search.goes_on(&client.worker.limits, &pool).await {
                    break page::DOWN;
                }
            }
        }
    };
    client.watch.hold(None);
    let (is_read, head) = (upload.body.is_done(), if upload.is_whole() { &upload.out[..] } else { &[] });
    Ended { status: page.status, after: Box::pin(client.page(page, request, head, is_read)).await }
}

/// Why there is no upstream to be had.
enum Miss {
    Page(Page),
    /// They are away until somebody brings them up.
    Asleep(Asleep),
}

impl From<Page> for Miss {
    fn from(page: Page) -> Miss {
        Miss::Page(page)
    }
}

/// Looks the route up, in the table of this moment unless its service was just found, and takes the least busy upstream.
fn pick(
    client: &Client,
    mut found: Option<&Arc<LiveService>>,
    request: &Request,
    head: &[u8],
) -> Result<(Arc<LivePool>, InFlight), Miss> {
    let path = std::str::from_utf8(&head[request.path.clone()]).unwrap_or("/");
    let asked = client.plan.as_ref().and_then(|plan| plan.asked()).unwrap_or(path);
    loop {
        let table;
        let service = match found.take() {
            Some(service) => service,
            None => {
                table = client.worker.registry.table();
                let whole = table.service(&head[request.host.clone()], asked).ok_or(page::UNKNOWN_HOST)?;
                client.plan.as_ref().and_then(|plan| plan.tried(&table, path)).unwrap_or(whole)
            }
        };
        let route = service.route(path).ok_or(page::NO_ROUTE)?;
        let pool = match &route.target {
            LiveTarget::Upstreams(pool) => pool,
            // It became something else while this request was looking for an instance.
            LiveTarget::Static(_) => return Err(page::STARTING.into()),
            LiveTarget::Page(page) => return Err(Page::from(*page).into()),
        };
        let turn = client.worker.turn();
        let picked = client.plan.as_ref().map_or_else(|| pool.pick(turn), |plan| plan.pick(pool, turn));
        let Some(upstream) = picked else {
            return Err(match pool.on_demand {
                Some(_) => Miss::Asleep(Asleep { service: service.clone(), pool: pool.clone() }),
                None => page::STARTING.into(),
            });
        };
        // Refused when it has left the table since; the table of now is another one then.
        if let Some(in_flight) = upstream.enter() {
            return Ok((pool.clone(), in_flight));
        }
    }
}

/// How one request's search for a willing upstream goes.
#[derive(Default)]
pub(crate) struct Search {
    /// Only fresh connections from now on.
    wants_fresh: bool,
    repeats: u32,
    refused: usize,
    had_hope: bool,
    until: Option<Instant>,
    pub(crate) held_since: Option<tokio::time::Instant>,
    pause: Duration,
}

impl Search {
    pub(crate) fn picked(&mut self, is_healthy: bool) {
        self.had_hope |= is_healthy;
    }

    /// One repetition for a kept connection gone stale, one for an instance that died under the request.
    fn may_repeat(&mut self) -> bool {
        self.wants_fresh = true;
        self.repeats += 1;
        self.repeats <= 2
    }

    /// After a refused connection. Waits when there is no healthy upstream left, since the table may be changing;
    /// but a pool known to be down from the start gets a quick answer.
    pub(crate) async fn goes_on(&mut self, limits: &Limits, pool: &LivePool) -> bool {
        self.refused += 1;
        let until = *self.until.get_or_insert_with(|| Instant::now() + limits.connect_patience);
        let has_healthy = pool.upstreams.iter().any(|upstream| upstream.is_healthy());
        if has_healthy && self.refused <= pool.upstreams.len() {
            return true;
        }
        if !self.had_hope {
            return self.refused < pool.upstreams.len().min(3);
        }
        if Instant::now() >= until {
            return false;
        }
        self.pause = (self.pause * 2).clamp(Duration::from_millis(5), Duration::from_millis(100));
        tokio::time::sleep(self.pause).await;
        true
    }
}

async fn connect(
    client: &Client,
    pool: &LivePool,
    upstream: &Arc<crate::upstream::Upstream>,
) -> Option<Connection> {
    let open = Open::count(upstream);
    let connecting = async {
        match pool.speaks {
            Speaks::Http1 => Stream::connect(&upstream.address).await,
            Speaks::H2c => client.worker.h2c.connect(upstream).await,
        }
    };
    let stream = match pool.timeouts.connect_ms {
        0 => connecting.await.ok()?,
        limit => tokio::time::timeout(Duration::from_millis(limit), connecting).await.ok()?.ok()?,
    };
    Some(Connection { stream, open, is_used: false })
}

/// Where the two directions stood when the attempt ended.
enum Outcome {
    Response(Result<Response, DownloadError>),
    Upload(UploadError),
    Late(Verdict),
}

async fn attempt(
    client: &mut Client,
    (request, visit): (&Request, &mut Visit),
    upload: &mut Upload,
    pool: &LivePool,
    connection: Connection,
) -> Attempt {
    let worker = client.worker.clone();
    let watch = client.watch.clone();
    let limit = |ms| worker.deadlines.set(&watch, Duration::from_millis(ms));
    let moved = || limit(pool.timeouts.idle_ms);
    let answered = Cell::new(0);
    let is_uploaded = Cell::new(false);
    let mut leftover = Buffer::default();
    let download = Download {
        upstream: &connection.stream,
        client: &client.stream,
        request,
        client_may_stay: worker.may_stay(),
        head_bytes: worker.limits.head_bytes,
        answered: &answered,
        is_clean: Cell::new(true),
        timing: Timing::begin(visit.server_timing().then(|| visit.begun())),
        plan: client.plan.as_deref(),
        coder: Default::default(),
        recorder: Default::default(),
    };
    let outcome = {
        moved();
        let mut up = pin!(upload.run(&client.stream, &mut client.pending, &connection.stream, moved));
        let mut down = pin!(download.run(&mut leftover, moved));
        let mut is_sending = true;
        poll_fn(|cx| {
            if is_sending && let Poll::Ready(result) = up.as_mut().poll(cx) {
                is_sending = false;
                match result {
                    Ok(()) => is_uploaded.set(true),
                    // It may have answered before it closed; the way down will tell.
                    Err(UploadError::Upstream) => {}
                    Err(error) => return Poll::Ready(Outcome::Upload(error)),
                }
                if answered.get() == 0 {
                    limit(pool.timeouts.response_ms);
                }
            }
            if let Poll::Ready(result) = down.as_mut().poll(cx) {
                return Poll::Ready(Outcome::Response(result));
            }
            watch.poll(cx).map(Outcome::Late)
        })
        .await
    };
    if let Some(took) = download.timing.took() {
        visit.upstream = Some((connection.open.upstream().clone(), took));
    }
    let is_clean = download.is_clean.get();
    let seen = Seen { is_uploaded: is_uploaded.get(), answered: answered.get(), is_clean };
    match outcome {
        Outcome::Response(Ok(response)) => {
            Attempt::Ended(finish(client, &response, connection, seen, leftover).await)
        }
        Outcome::Response(Err(DownloadError::Replaced(status))) => {
            client.watch.hold(None);
            Attempt::Answer(Page::in_place_of(status))
        }
        Outcome::Response(Err(error)) => broken(client, request, upload, &connection, (error, seen.answered)),
        Outcome::Upload(UploadError::TooLarge) if seen.answered == 0 => Attempt::Answer(page::TOO_LARGE),
        Outcome::Upload(UploadError::BadChunk) if seen.answered == 0 => Attempt::Answer(BAD_CHUNK.into()),
        Outcome::Upload(_) => Attempt::Ended(cut_off(client, seen.answered)),
        Outcome::Late(_) if seen.answered != 0 => Attempt::Ended(cut_off(client, seen.answered)),
        Outcome::Late(Verdict::Cut) => Attempt::Answer(page::DOWN),
        Outcome::Late(Verdict::TimedOut) if seen.is_uploaded || upload.is_blocked() => {
            Attempt::Answer(page::TOO_SLOW)
        }
        Outcome::Late(Verdict::TimedOut) => Attempt::Answer(BODY_TOO_SLOW.into()),
    }
}

#[derive(Clone, Copy)]
struct Seen {
    is_uploaded: bool,
    answered: u16,
    is_clean: bool,
}

/// A response arrived whole.
async fn finish(
    client: &mut Client,
    response: &Response,
    connection: Connection,
    seen: Seen,
    leftover: Buffer,
) -> Ended {
    connection.open.upstream().heard();
    if response.status == 101 {
        Box::pin(client.tunnel(&connection.stream, leftover)).await;
        client.watch.hold(None);
        return Ended { status: 101, after: After::Close };
    }
    client.watch.hold(None);
    if seen.is_uploaded && seen.is_clean && response.upstream_stays && leftover.is_empty() {
        client.worker.pool.give(connection, client.worker.deadlines.tick(), &client.worker.limits);
    }
    let after = match (seen.is_uploaded, response.client_stays) {
        // The rest of the body is still coming; a close now would reset the response away.
        (false, _) => After::Linger,
        (true, true) => After::Stay,
        (true, false) => After::Close,
    };
    Ended { status: response.status, after }
}

/// No whole response came.
fn broken(
    client: &Client,
    request: &Request,
    upload: &Upload,
    connection: &Connection,
    (error, status): (DownloadError, u16),
) -> Attempt {
    let upstream = connection.open.upstream();
    // Of a connection that is shared, others know more.
    if !connection.is_used && connection.stream.is_socket() && error != DownloadError::Client {
        upstream.failed();
    }
    match error {
        DownloadError::Refused => Attempt::Again,
        DownloadError::Client => Attempt::Ended(cut_off(client, status)),
        _ if status != 0 => Attempt::Ended(cut_off(client, status)),
        DownloadError::Silent if !upload.has_sent() || request.is_idempotent => Attempt::Again,
        _ => Attempt::Answer(page::BROKEN),
    }
}

/// The client must not take what it got for the whole: the connection is reset.
fn cut_off(client: &Client, status: u16) -> Ended {
    client.stream.abort();
    client.watch.hold(None);
    Ended { status, after: After::Close }
}
