// SPDX-License-Identifier: Apache-2.0
//! One line for a connection that was carried as it was.

use super::json::{self, key};
use super::sink::Sink;
use crate::metric::Sample;
use crate::proxy_protocol::Ends;
use crate::table::LiveService;
use crate::tcp::Outcome;
use crate::upstream::Upstream;
use hop3_core::tcp::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NAME_BYTES: usize = 255;

/// A connection at its end.
pub(crate) struct Passage<'a> {
    pub(crate) service: &'a LiveService,
    pub(crate) entry: &'a Entry,
    pub(crate) ends: &'a Ends,
    pub(crate) outcome: Outcome,
    /// Who got it, and how long it took to be reached.
    pub(crate) upstream: Option<(Arc<Upstream>, Duration)>,
}

/// Writes the line, unless the service wants another part of its lines. `number` is another one each time.
pub(crate) fn passed(passage: &Passage<'_>, sample: &Sample, number: u64, sink: &Sink) {
    let every = u64::from(passage.service.source.observe.log_every);
    let is_failure = passage.outcome == Outcome::Refused;
    if every == 0 || (!is_failure && !number.is_multiple_of(every)) {
        return;
    }
    sink.line(Instant::now(), |out| {
        json::text(out, key!("service"), passage.service.source.name.as_bytes(), NAME_BYTES);
        json::plain(out, key!("client"), &passage.ends.source.ip().to_canonical().to_string());
        match passage.entry {
            Entry::Host(_) => json::plain(out, key!("protocol"), "TLS"),
            Entry::Port(_) => json::plain(out, key!("protocol"), "TCP"),
        }
        json::text(out, key!("entry"), passage.entry.to_string().as_bytes(), NAME_BYTES);
        json::plain(out, key!("ended"), passage.outcome.as_str());
        json::number(out, key!("bytes_in"), sample.bytes_in);
        json::number(out, key!("bytes_out"), sample.bytes_out);
        json::millis(out, key!("ms"), sample.took.as_micros() as u64);
        if let Some((upstream, took)) = &passage.upstream {
            json::text(out, key!("upstream"), upstream.id.as_bytes(), NAME_BYTES);
            json::millis(out, key!("upstream_ms"), took.as_micros() as u64);
        }
    });
}
