// SPDX-License-Identifier: Apache-2.0
//! `Client`: one client connection from accept to close; reads requests in order and has each answered.
//!
//! ```text
//!   idle ──first byte──▶ head ──complete──▶ answered ──▶ idle
//!    │ 75 s, stopping      │ bad, slow        │ must end
//!    ▼                     ▼                  ▼
//!  closed               refused ─▶ linger ─▶ closed
//! ```

use crate::access::{self, Arrival, Visit};
use crate::buffer::{Buffer, with_scratch};
use crate::cert::acme;
use crate::deadline::{Verdict, Watch};
use crate::exchange::{self, Ended};
use crate::files;
use crate::front;
use crate::http1::forward::{self, Origin, Request};
use crate::http1::header::{may_be_complete, own_slots, slots};
use crate::http1::request::{self, HEAD_TOO_SLOW, Refusal};
use crate::memory::Sharing;
use crate::page::{self, Manner, Page};
use crate::policy::{self, Plan, Verdict as Judged};
use crate::redirect;
use crate::stream::{Stream, Traffic};
use crate::table::{LiveService, LiveTarget};
use crate::tls::Secure;
use crate::tunnel::{self, Silence};
use crate::worker::Worker;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// A client that is told its answer while it still sends gets this long before the close,
const LINGER: Duration = Duration::from_secs(30);
/// unless it falls silent.
const LINGER_SILENCE: Duration = Duration::from_secs(2);
/// How long a client may not take a byte of an answer of the proxy's own.
pub(crate) const SEND_IDLE: Duration = Duration::from_secs(60);

/// What a client may send while its request is held.
const MAX_AHEAD: usize = 16 << 10;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Stay,
    Close,
    /// Close, but let the client read first: it is still sending.
    Linger,
}

/// The way a connection came.
#[derive(Clone)]
pub(crate) struct Way {
    /// Its address, as it is written.
    pub(crate) peer: Rc<str>,
    /// What the handshake established; `None` on a plain connection.
    pub(crate) secure: Option<Rc<Secure>>,
    /// What the client speaks, for the access log.
    pub(crate) protocol: &'static str,
    /// What its requests share when there are many at the same time.
    pub(crate) sharing: Sharing,
    /// From a front, whose requests are its visitors'.
    pub(crate) is_behind: bool,
}

impl Way {
    pub(crate) fn http1(peer: IpAddr, secure: Option<Rc<Secure>>) -> Way {
        Way {
            peer: written(peer),
            secure,
            protocol: "HTTP/1.1",
            is_behind: false,
            sharing: Sharing::default(),
        }
    }

    /// From a front, which tells the peer of each request.
    pub(crate) fn behind() -> Way {
        Way { is_behind: true, ..Way::http1(IpAddr::V4(Ipv4Addr::UNSPECIFIED), None) }
    }
}

/// An address as logs and apps are told it.
pub(crate) fn written(peer: IpAddr) -> Rc<str> {
    peer.to_canonical().to_string().into()
}

pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) stream: Stream,
    pub(crate) watch: Rc<Watch>,
    /// What the service's policy wants done with the answer to the request at hand.
    pub(crate) plan: Option<Rc<Plan>>,
    peer: Rc<str>,
    /// What the handshake established; `None` on a plain connection.
    pub(crate) secure: Option<Rc<Secure>>,
    protocol: &'static str,
    is_behind: bool,
    /// The front before this proxy was spoken to by HTTPS.
    is_secure_in_front: bool,
    /// It left before it was answered.
    is_gone: bool,
    /// Bytes read and not used: pipelined requests, the beginning of a body, half a head.
    pub(crate) pending: Buffer,
}

/// Why no head came.
enum NoHead {
    Closed,
    Refused(Refusal),
}

impl From<Refusal> for NoHead {
    fn from(refusal: Refusal) -> NoHead {
        NoHead::Refused(refusal)
    }
}

impl Client {
    pub(crate) fn new(worker: Rc<Worker>, stream: Stream, way: Way) -> Client {
        let watch = worker.deadlines.watch();
        let Way { peer, secure, protocol, is_behind, sharing: _ } = way;
        Client {
            worker,
            stream,
            watch,
            plan: None,
            peer,
            secure,
            protocol,
            is_behind,
            is_secure_in_front: false,
            is_gone: false,
            pending: Buffer::default(),
        }
    }

    /// The address of whoever asks: at the other end of the connection, or of the front's.
    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }

    /// A front was asked by HTTPS.
    pub(crate) fn is_secure_in_front(&self) -> bool {
        self.is_secure_in_front
    }

    pub(crate) async fn serve(mut self) {
        loop {
            match self.serve_next().await {
                After::Stay => {}
                After::Close => return self.stream.farewell(),
                After::Linger => return self.linger().await,
            }
        }
    }

    /// Answers the only request of a connection whose other end is the proxy's own.
    pub(crate) async fn serve_one(mut self) {
        let mut head = Buffer::default();
        match self.read_head(&mut head).await {
            Ok(request) => drop(self.answer(request, head).await),
            Err(no_head) => drop(self.not_read(no_head).await),
        }
    }

    async fn serve_next(&mut self) -> After {
        let mut head = Buffer::default();
        match self.read_head(&mut head).await {
            // Boxed so that an idle connection does not own the room a request needs.
            Ok(request) => Box::pin(self.answer(request, head)).await,
            Err(no_head) => self.not_read(no_head).await,
        }
    }

    async fn not_read(&mut self, no_head: NoHead) -> After {
        match no_head {
            NoHead::Closed => After::Close,
            NoHead::Refused(refusal) => self.refuse(refusal).await,
        }
    }

    /// Waits for a request; its head is written to `head` as an upstream shall see it.
    async fn read_head(&mut self, head: &mut Buffer) -> Result<Request, NoHead> {
        let limits = &self.worker.limits;
        if self.pending.is_empty() {
            self.worker.deadlines.set_idle(&self.watch, limits.idle_timeout);
        } else {
            self.worker.deadlines.set(&self.watch, limits.head_timeout);
            if let Some(request) = self.parse_pending(head)? {
                return Ok(request);
            }
        }
        poll_fn(|cx| {
            if let Poll::Ready(found) = self.poll_head(cx, head) {
                return Poll::Ready(found);
            }
            self.watch.poll(cx).map(|verdict| match verdict {
                Verdict::TimedOut if !self.pending.is_empty() => Err(HEAD_TOO_SLOW.into()),
                _ => Err(NoHead::Closed),
            })
        })
        .await
    }

    fn poll_head(&mut self, cx: &mut Context, head: &mut Buffer) -> Poll<Result<Request, NoHead>> {
        loop {
            let count = ready!(with_scratch(|scratch| {
                let count = match ready!(self.stream.poll_read(cx, scratch)) {
                    Ok(0) | Err(_) => return Poll::Ready(Err(NoHead::Closed)),
                    Ok(count) => count,
                };
                if !self.pending.is_empty() {
                    self.pending.open().extend_from_slice(&scratch[..count]);
                    return Poll::Ready(Ok(Err(count)));
                }
                let found = self.parse(&scratch[..count], head)?;
                let used = found.as_ref().map_or(0, |(_, used)| *used);
                if used < count {
                    self.pending.open().extend_from_slice(&scratch[used..count]);
                }
                Poll::Ready(Ok(found.map(|(request, _)| request).ok_or(0)))
            }))?;
            let added = match count {
                Ok(request) => return Poll::Ready(Ok(request)),
                Err(0) => {
                    // The first piece of a head that is not whole: from now on it must hurry.
                    self.worker.deadlines.set(&self.watch, self.worker.limits.head_timeout);
                    continue;
                }
                Err(added) => added,
            };
            let before = self.pending.len() - added;
            let is_large = self.pending.len() > self.worker.limits.target_bytes;
            if (is_large || may_be_complete(&self.pending, before))
                && let Some(request) = self.parse_pending(head)?
            {
                return Poll::Ready(Ok(request));
            }
        }
    }

    fn parse_pending(&mut self, head: &mut Buffer) -> Result<Option<Request>, Refusal> {
        let pending = std::mem::take(&mut self.pending);
        let found = self.parse(&pending, head);
        self.pending = pending;
        let Some((request, used)) = found? else { return Ok(None) };
        self.pending.consume(used);
        Ok(Some(request))
    }

    fn parse(&mut self, input: &[u8], out: &mut Buffer) -> Result<Option<(Request, usize)>, Refusal> {
        let mut slots = slots();
        let Some(head) = request::parse(input, &mut slots, &self.worker.limits)? else {
            return Ok(None);
        };
        if self.is_behind {
            let (peer, is_secure) = front::told(head.headers);
            (self.peer, self.is_secure_in_front) = (written(peer), is_secure);
        }
        let id = self.worker.request_id();
        let id = std::str::from_utf8(&id).unwrap_or_default();
        let secure = self.secure.as_ref();
        let scheme = if secure.is_some() || self.is_secure_in_front { "https" } else { "http" };
        let subject = secure.and_then(|secure| secure.subject.as_deref());
        let origin = Origin { peer: &self.peer, scheme, subject, request_id: id };
        let request = forward::write(&head, &origin, out.open());
        Ok(Some((request, head.bytes)))
    }

    fn arrival(&self) -> Arrival<'_> {
        let tls = self.secure.as_ref().map(|secure| secure.version);
        Arrival { peer: &self.peer, protocol: self.protocol, tls }
    }

    /// What has gone over the connection; bytes that nothing has used yet have not come.
    fn traffic(&self) -> Traffic {
        let traffic = self.stream.traffic();
        Traffic { received: traffic.received.saturating_sub(self.pending.len() as u64), ..traffic }
    }

    async fn answer(&mut self, request: Request, head: Buffer) -> After {
        let mut before = self.traffic();
        before.received = before.received.saturating_sub(request.head_bytes as u64);
        let mut visit = Visit::begin(before);
        let ended = self.answer_visit(request, head, &mut visit).await;
        visit.finding = self.plan.take().and_then(|plan| plan.finding().cloned());
        let status = if self.is_gone { 0 } else { ended.status };
        visit.end(status, self.traffic(), &self.worker.log);
        ended.after
    }

    async fn answer_visit(&mut self, mut request: Request, mut head: Buffer, visit: &mut Visit) -> Ended {
        let mut was_held = false;
        loop {
            let path = std::str::from_utf8(&head[request.path.clone()]).unwrap_or("/");
            let found = self.worker.registry.table().service(&head[request.host.clone()], path).cloned();
            if !was_held {
                let service = found.as_deref();
                visit.belongs(service.map(|service| (service, path)), self.worker.requests());
                visit.draft(self.arrival(), service, &request, &head);
            }
            // Before the scheme and the policy: an authority comes by plain HTTP and has no password. Before the
            // service too: where only parts of a host are served, the path it asks for is in none of them.
            if let Some(response) = acme::response(&self.worker.challenges, path, request.is_head) {
                let after = if Box::pin(self.send(&response)).await { After::Linger } else { After::Close };
                return Ended { status: 200, after };
            }
            let Some(service) = found else {
                return self.own(page::UNKNOWN_HOST, &request, &head).await;
            };
            // What seldom happens is boxed, here and further down: every request would have its room otherwise.
            if let Some(instead) = redirect::by_scheme(self, &service, &request, &head) {
                return Box::pin(instead.send(self, &request, &head)).await;
            }
            if let Some(policy) = &service.policy {
                match Box::pin(policy::admit(self, &mut request, &mut head, policy, was_held)).await {
                    Judged::Pass => {}
                    Judged::Answered(ended) => return ended,
                    Judged::Again => {
                        was_held = true;
                        continue;
                    }
                }
            }
            return self.route(&service, &request, head, visit).await;
        }
    }

    async fn route(
        &mut self,
        service: &Arc<LiveService>,
        request: &Request,
        head: Buffer,
        visit: &mut Visit,
    ) -> Ended {
        let path = std::str::from_utf8(&head[request.path.clone()]).unwrap_or("/");
        let tried =
            self.plan.as_ref().and_then(|plan| plan.tried(&self.worker.registry.table(), path).cloned());
        let service = tried.as_ref().unwrap_or(service);
        match service.route(path).map(|route| (route, &route.target)) {
            // Boxes of up to 1,032 bytes cost little: the C library has such blocks at hand.
            Some((_, LiveTarget::Upstreams(_))) => {
                // A policy may have taken its time, and the table may have changed meanwhile.
                let found = service.policy.is_none().then_some(service);
                Box::pin(exchange::forward(self, found, request, head, visit)).await
            }
            Some((route, LiveTarget::Static(files))) => {
                let place = files::Place { files, prefix: &route.prefix };
                Box::pin(files::serve(self, request, &head, place)).await
            }
            Some((_, LiveTarget::Page(page))) => self.own(Page::from(*page), request, &head).await,
            None => self.own(page::NO_ROUTE, request, &head).await,
        }
    }

    /// Answers a request, of which no body was read, with a page.
    pub(crate) async fn own(&mut self, page: Page, request: &Request, head: &[u8]) -> Ended {
        let is_read = request.has_no_body();
        Ended { status: page.status, after: Box::pin(self.page(page, request, head, is_read)).await }
    }

    /// Sends a page. `is_read` says that the whole request was read, so that another may follow.
    pub(crate) async fn page(&mut self, page: Page, request: &Request, head: &[u8], is_read: bool) -> After {
        let stays = is_read && request.keep_alive && self.worker.may_stay();
        let accept = header_of(head, "accept");
        let manner =
            Manner { accept: &accept, is_head: request.is_head, is_http10: request.is_http10, stays, id: "" };
        let mut out = Buffer::default();
        match &self.plan {
            None => page.write(manner, out.open()),
            Some(plan) => plan.page(page, manner, out.open()),
        }
        self.is_gone |= self.watch.is_left();
        match self.send(&out).await {
            true if stays => After::Stay,
            true if is_read => After::Close,
            true => After::Linger,
            false => After::Close,
        }
    }

    async fn refuse(&mut self, refusal: Refusal) -> After {
        access::refused(refusal, self.arrival(), &self.worker.log);
        let manner = Manner { accept: "", is_head: false, is_http10: false, stays: false, id: "" };
        let mut out = Buffer::default();
        Page::from(refusal).write(manner, out.open());
        if self.send(&out).await { After::Linger } else { After::Close }
    }

    /// Sends bytes to the client; false when it does not take them.
    pub(crate) async fn send(&self, bytes: &[u8]) -> bool {
        self.worker.deadlines.set(&self.watch, SEND_IDLE);
        self.in_time(self.stream.write_all(bytes)).await.is_some_and(|sent| sent.is_ok())
    }

    /// Runs to the end, or to the watch's verdict.
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.watch.in_time(work).await
    }

    /// Ends when the client has gone: for work that keeps a place others may want. What the client sends meanwhile is
    /// kept, as far as there is room; a client that fills it is not seen to go. One that says it sends nothing more is
    /// taken for gone, since nothing tells the two apart.
    pub(crate) async fn gone(&mut self) {
        poll_fn(|cx| self.poll_gone(cx)).await;
    }

    fn poll_gone(&mut self, cx: &mut Context) -> Poll<()> {
        // A stream of HTTP/2 ends with its request; when it is reset the watch tells.
        if self.stream.is_inner() {
            return Poll::Pending;
        }
        while self.pending.len() < MAX_AHEAD {
            let room = MAX_AHEAD - self.pending.len();
            let read = with_scratch(|scratch| {
                let room = room.min(scratch.len());
                let count = ready!(self.stream.poll_read(cx, &mut scratch[..room])).unwrap_or(0);
                self.pending.open().extend_from_slice(&scratch[..count]);
                Poll::Ready(count)
            });
            if ready!(read) == 0 {
                self.is_gone = true;
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Carries an upgraded connection to its end.
    pub(crate) async fn tunnel(&mut self, upstream: &Stream, down: Buffer) {
        let limits = &self.worker.limits;
        let silence = Silence { both: limits.tunnel_idle_timeout, one: limits.idle_timeout };
        let up = std::mem::take(&mut self.pending);
        let ends = ((&self.stream, up), (upstream, down));
        if tunnel::carry(ends, &self.worker.deadlines, &self.watch, silence).await == tunnel::Ended::Broken {
            self.stream.cut();
        }
    }

    async fn linger(&mut self) {
        let end = Instant::now() + if self.worker.may_stay() { LINGER } else { LINGER_SILENCE };
        let heard = || {
            let left = end.saturating_duration_since(Instant::now());
            self.worker.deadlines.set(&self.watch, left.clamp(Duration::from_millis(1), LINGER_SILENCE));
        };
        heard();
        self.pending.release();
        self.in_time(self.stream.linger(heard)).await;
    }
}

/// A header of a head that was rewritten by us, so that it parses.
pub(crate) fn header_of(head: &[u8], name: &str) -> String {
    let mut slots = own_slots();
    let mut parsed = httparse::Request::new(&mut []);
    if head.is_empty() || parsed.parse_with_uninit_headers(head, &mut slots).is_err() {
        return String::new();
    }
    let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    found.map_or_else(String::new, |header| String::from_utf8_lossy(header.value).into_owned())
}
