// SPDX-License-Identifier: Apache-2.0
//! `Visit`: one request from its head to its end, for the route's figures and the access log.
//!
//! What the log says of the request is put down at the beginning, since the head is gone at the end.

use super::json::{self, key};
use super::sink::Sink;
use crate::buffer::Buffer;
use crate::http1::forward::Request;
use crate::http1::request::Refusal;
use crate::metric::{Metrics, Sample};
use crate::policy::Finding;
use crate::stream::Traffic;
use crate::table::LiveService;
use crate::upstream::Upstream;
use hop3_core::observe::Observe;
use std::sync::Arc;
use std::time::{Duration, Instant};

const HOST_BYTES: usize = 255;
const METHOD_BYTES: usize = 32;
const PATH_BYTES: usize = 2048;
const ID_BYTES: usize = 128;
const REFERER_BYTES: usize = 512;
const AGENT_BYTES: usize = 256;
const RULES_BYTES: usize = 512;

/// The way a request came, as far as the log tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) peer: &'a str,
    pub(crate) protocol: &'static str,
    pub(crate) tls: Option<&'static str>,
}

pub(crate) struct Visit {
    begun: Instant,
    /// What has gone over the client's connection before.
    before: Traffic,
    observe: Observe,
    metrics: Option<Arc<Metrics>>,
    /// The request's part of its line; empty when it is not to be logged.
    draft: Buffer,
    /// This one is not among those that are logged whatever became of them.
    only_failure: bool,
    /// Who answered, and how long it took to the first byte.
    pub(crate) upstream: Option<(Arc<Upstream>, Duration)>,
    /// What the request filter found; noted whatever the share that is logged.
    pub(crate) finding: Option<Finding>,
}

impl Visit {
    pub(crate) fn begin(before: Traffic) -> Visit {
        Visit {
            begun: Instant::now(),
            before,
            observe: Observe::default(),
            metrics: None,
            draft: Buffer::default(),
            only_failure: false,
            upstream: None,
            finding: None,
        }
    }

    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    pub(crate) fn server_timing(&self) -> bool {
        self.observe.server_timing
    }

    /// Who answers for the host and path, if anybody does. `number` is another one for each request.
    pub(crate) fn belongs(&mut self, found: Option<(&LiveService, &str)>, number: u64) {
        let Some((service, path)) = found else { return };
        let (observe, route) = (&service.source.observe, service.route(path));
        let metrics = route.map_or(&service.metrics, |route| &route.metrics);
        metrics.begin();
        self.metrics = Some(metrics.clone());
        self.observe = *observe;
        self.only_failure = observe.log_every > 1 && !number.is_multiple_of(u64::from(observe.log_every));
    }

    /// Puts down what the log shall say of the request.
    pub(crate) fn draft(
        &mut self,
        arrival: Arrival,
        service: Option<&LiveService>,
        request: &Request,
        head: &[u8],
    ) {
        if self.observe.log_every == 0 {
            return;
        }
        let out = self.draft.open();
        json::text(out, key!("id"), &head[request.id.clone()], ID_BYTES);
        if let Some(service) = service {
            json::text(out, key!("service"), service.source.name.as_bytes(), HOST_BYTES);
        }
        json::text(out, key!("host"), &head[request.host.clone()], HOST_BYTES);
        json::plain(out, key!("client"), arrival.peer);
        json::plain(out, key!("protocol"), if request.is_http10 { "HTTP/1.0" } else { arrival.protocol });
        if let Some(version) = arrival.tls {
            json::plain(out, key!("tls"), version);
        }
        json::text(out, key!("method"), &head[..request.path.start - 1], METHOD_BYTES);
        let path = &head[request.path.clone()];
        match path.iter().position(|byte| *byte == b'?') {
            Some(query) if !self.observe.log_query => {
                let mut short = path[..query.min(PATH_BYTES)].to_vec();
                short.extend_from_slice(b"?[redacted]");
                json::text(out, key!("path"), &short, PATH_BYTES + 11);
            }
            _ => json::text(out, key!("path"), path, PATH_BYTES),
        }
        if !request.referer.is_empty() {
            json::text(out, key!("referer"), &head[request.referer.clone()], REFERER_BYTES);
        }
        if !request.agent.is_empty() {
            json::text(out, key!("agent"), &head[request.agent.clone()], AGENT_BYTES);
        }
    }

    pub(crate) fn end(mut self, status: u16, now: Traffic, sink: &Sink) {
        let end = Instant::now();
        let sample = Sample {
            status,
            bytes_in: now.received.saturating_sub(self.before.received),
            bytes_out: now.sent.saturating_sub(self.before.sent),
            took: end - self.begun,
        };
        if let Some(metrics) = self.metrics.take() {
            metrics.end(&sample);
        }
        if self.draft.is_empty() || (self.only_failure && status < 500 && self.finding.is_none()) {
            return;
        }
        sink.line(end, |out| {
            out.extend_from_slice(&self.draft);
            json::number(out, key!("status"), u64::from(status));
            json::number(out, key!("bytes_in"), sample.bytes_in);
            json::number(out, key!("bytes_out"), sample.bytes_out);
            json::millis(out, key!("ms"), sample.took.as_micros() as u64);
            if let Some((upstream, took)) = &self.upstream {
                json::text(out, key!("upstream"), upstream.id.as_bytes(), HOST_BYTES);
                json::millis(out, key!("upstream_ms"), took.as_micros() as u64);
            }
            if let Some(finding) = &self.finding {
                json::plain(out, key!("waf"), finding.what);
                json::number(out, key!("waf_score"), u64::from(finding.score));
                json::text(out, key!("waf_rules"), finding.rules.as_bytes(), RULES_BYTES);
            }
        });
    }
}

/// One that is broken off in the middle has ended too, without a status.
impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(metrics) = self.metrics.take() {
            metrics.end(&Sample { took: self.begun.elapsed(), ..Sample::default() });
        }
    }
}

/// A line for what never became a request.
pub(crate) fn refused(refusal: Refusal, arrival: Arrival, sink: &Sink) {
    sink.line(Instant::now(), |out| {
        json::plain(out, key!("client"), arrival.peer);
        json::plain(out, key!("protocol"), arrival.protocol);
        if let Some(version) = arrival.tls {
            json::plain(out, key!("tls"), version);
        }
        json::number(out, key!("status"), u64::from(refusal.status));
        json::plain(out, key!("refused"), refusal.reason);
    });
}
