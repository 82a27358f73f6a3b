// SPDX-License-Identifier: Apache-2.0
//! `Plan`: what was decided about a request that concerns its answer, carried along until the answer is there.

use super::cache::{Recorder, Recording};
use super::compress::{Coder, Coding};
use super::edit::{self, Edit};
use super::live::Live;
use super::waf::Finding;
use super::{answer, compress, cors, error_page, hsts, sticky};
use crate::http1::forward::Request;
use crate::http1::response::Response;
use crate::page::{Manner, Page};
use crate::table::{LivePool, LiveService, LiveTarget, Table, least_busy};
use crate::upstream::Upstream;
use std::cell::RefCell;
use std::sync::Arc;

pub(crate) struct Plan {
    pub(super) live: Arc<Live>,
    /// Header lines for the answer.
    pub(super) lines: String,
    pub(super) coding: Option<Coding>,
    /// Path and query as they were asked for, when the head says another one now.
    pub(super) asked: Option<String>,
    /// The instance the visitor was at, as its cookie names it.
    /// The visitor came over TLS.
    pub(super) is_secure: bool,
    /// It gets the service that is tried out.
    pub(super) is_tried: bool,
    pub(super) cookie: Option<String>,
    /// The cookie it gets.
    pub(super) new_cookie: RefCell<Option<String>>,
    pub(super) recording: RefCell<Option<Recording>>,
    pub(super) finding: Option<Finding>,
}

/// What an answer passes through.
#[derive(Default)]
pub(crate) struct Way {
    /// Makes the body smaller.
    pub(crate) coder: Option<Coder>,
    /// Keeps a copy.
    pub(crate) recorder: Option<Box<Recorder>>,
}

/// The upstream's answer is not the one the client gets.
pub(crate) struct Replaced(pub(crate) u16);

impl Plan {
    pub(super) fn new(live: Arc<Live>) -> Plan {
        Plan {
            live,
            lines: String::new(),
            coding: None,
            asked: None,
            is_secure: false,
            is_tried: false,
            cookie: None,
            new_cookie: RefCell::default(),
            recording: RefCell::default(),
            finding: None,
        }
    }

    /// Bytes that a request's body may have.
    pub(crate) fn max_body(&self) -> u64 {
        self.live.source.max_body_size.unwrap_or(u64::MAX)
    }

    /// What the request filter found.
    pub(crate) fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    /// What the service was looked up by, when it is not in the head any more.
    pub(crate) fn asked(&self) -> Option<&str> {
        self.asked.as_deref()
    }

    /// Chooses among the upstreams: the visitor's own while it lives, else whichever the balance gives.
    pub(crate) fn pick<'p>(&self, pool: &'p LivePool, turn: usize) -> Option<&'p Arc<Upstream>> {
        let upstreams = &pool.upstreams[..];
        if !self.live.source.sticky {
            return least_busy(upstreams, turn);
        }
        let known = self.cookie.as_deref().and_then(|cookie| sticky::find(upstreams, &self.live.key, cookie));
        let picked =
            known.filter(|upstream| upstream.is_healthy()).or_else(|| least_busy(upstreams, turn))?;
        let token = self.live.key.token(&picked.id);
        *self.new_cookie.borrow_mut() = (self.cookie.as_ref() != Some(&token)).then_some(token);
        Some(picked)
    }

    /// The service that is tried out, for those who get it and while it can answer this path. Nobody gets past what it
    /// asks of visitors: that must be what this one asks too.
    pub(crate) fn tried<'t>(&self, table: &'t Table, path: &str) -> Option<&'t Arc<LiveService>> {
        let canary = self.live.canary.as_ref().filter(|_| self.is_tried)?;
        let service = table.service(canary.host.0.as_bytes(), path)?;
        let can_answer = match &service.route(path)?.target {
            LiveTarget::Upstreams(pool) => {
                pool.on_demand.is_some() || pool.upstreams.iter().any(|upstream| upstream.is_healthy())
            }
            LiveTarget::Static(_) => true,
            LiveTarget::Page(_) => false,
        };
        (can_answer && self.live.asks_the_same(service)).then_some(service)
    }

    /// Changes the head of an upstream's final response, which begins at `from` in `out`.
    pub(crate) fn response(
        &self,
        response: &mut Response,
        request: &Request,
        out: &mut Vec<u8>,
        from: usize,
    ) -> Result<Way, Replaced> {
        if error_page::file(&self.live, response.status).is_some() {
            return Err(Replaced(response.status));
        }
        let coder = self.compress(response, request, out, from);
        let recording = self.recording.take();
        let recorder = recording.and_then(|recording| recording.begin(out, from, response.status));
        self.own(out, from);
        Ok(Way { coder, recorder })
    }

    fn compress(
        &self,
        response: &mut Response,
        request: &Request,
        out: &mut Vec<u8>,
        from: usize,
    ) -> Option<Coder> {
        let compression = self.live.source.compression.as_ref().filter(|c| c.on)?;
        if !compress::is_fit(&out[from..], response, compression.min_size) {
            return None;
        }
        let coding = self.coding.filter(|_| !request.is_http10 && !request.is_head);
        let coder = coding.and_then(Coder::new);
        compress::announce(out, from, coder.as_ref().and(coding), response);
        coder
    }

    /// Makes a whole body smaller, if that is wanted and works; gives the coding's name.
    pub(crate) fn code(
        &self,
        size: u64,
        read: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<(&'static str, Vec<u8>)> {
        self.live.source.compression.as_ref().filter(|c| c.on && size >= c.min_size)?;
        let coding = self.coding?;
        let mut coder = Coder::new(coding)?;
        let mut coded = coder.push(&read()?).ok()?;
        coded.extend(coder.finish().ok()?);
        ((coded.len() as u64) < size).then_some((coding.name(), coded))
    }

    /// Changes the head of a response that is the proxy's own.
    pub(crate) fn own(&self, out: &mut Vec<u8>, from: usize) {
        let mut edit = Edit::default();
        if self.live.source.cors.as_ref().is_some_and(|cors| cors.on) {
            cors::clear(&mut edit);
        }
        hsts::tell(self.live.source.hsts.as_ref(), self.is_secure, &mut edit);
        edit.headers(&self.live.source.response_headers);
        let mut lines = self.lines.clone();
        if let Some(token) = self.new_cookie.borrow().as_deref() {
            lines += &sticky::line(sticky::COOKIE, token, self.is_secure);
        }
        if !lines.is_empty() || !edit.is_none() {
            edit::response(out, from, &edit, &lines);
        }
    }

    /// Appends a page of the proxy's own.
    pub(crate) fn page(&self, page: Page, manner: Manner, out: &mut Vec<u8>) {
        answer::write_page(page, self, manner, out);
    }
}
