// SPDX-License-Identifier: Apache-2.0
//! `Limits`: every bound a client or an upstream can run into, with its default.
//!
//! What a client can make a connection hold follows from these. Over HTTP/1: one request head, and one piece of body
//! (64 KiB) each way. Over HTTP/2 and HTTP/3: a head for each request under way; of their bodies less than 8 MiB each way
//! for all of them, whatever their number (`memory::Sharing`); and what the protocols themselves keep: 1 MiB that the
//! client sends ahead, and of answers 32 KiB for each over HTTP/2, 1 MiB for all over HTTP/3.

use std::num::NonZeroUsize;
use std::time::Duration;

/// More header lines than this are answered 431. A constant because the parser's table lies on the stack.
pub const MAX_HEADERS: usize = 100;

/// Lines that the proxy adds to a head, and some that policies do. A head is read again with room for them: one that
/// does not fit would seem to have no headers at all.
pub(crate) const OWN_HEADERS: usize = 28;

/// A chunk's size line, extensions included. Longer ones are an attack.
pub(crate) const MAX_CHUNK_LINE: usize = 256;

/// All trailers of one body together. Of lines there may be as many as in a head.
pub(crate) const MAX_TRAILERS: usize = 8 << 10;

#[derive(Clone, Debug)]
pub struct Limits {
    /// Threads that serve; one for each core by default.
    pub threads: Option<NonZeroUsize>,
    /// Request line and headers together; more is answered 431. The same bound holds for response heads.
    pub head_bytes: usize,
    /// The request target; more is answered 414.
    pub target_bytes: usize,
    /// From the first byte of a head to its last; then 408.
    pub head_timeout: Duration,
    /// How long a client connection may wait between requests.
    pub idle_timeout: Duration,
    /// How long an upgraded connection may be silent both ways.
    pub tunnel_idle_timeout: Duration,
    /// How long a request may look for an upstream that accepts a connection.
    pub connect_patience: Duration,
    /// How long an upstream connection is kept for the next request.
    pub pool_idle_timeout: Duration,
    /// Idle connections kept for one upstream by one thread.
    pub pool_size: usize,
    /// Requests of one HTTP/2 or HTTP/3 connection that are under way; one more is refused, or waits.
    pub streams: u32,
    /// HTTP/3 connections; one more is refused, and its client comes by TCP.
    pub quic_connections: usize,
    /// Those of one address, or one /64 of IPv6.
    pub quic_connections_of_one: usize,
    /// A request body up to this size is kept to be sent again when the method allows it.
    pub replay_bytes: usize,
    /// After SIGTERM: how long requests under way may take.
    pub stop_grace: Duration,
    /// The access log goes on in a new file when it is this large.
    pub log_file_bytes: u64,
    /// So many earlier files of it are kept.
    pub log_old_files: u32,
    /// After a hand-over to a new proxy: how long the old one finishes requests and upgraded connections.
    pub handover_grace: Duration,
    /// A TLS handshake, from accept to its end.
    pub handshake_timeout: Duration,
    /// Handshakes under way on one thread; one more ends the oldest.
    pub handshakes: usize,
    /// Sessions of TLS 1.2 clients without tickets that are remembered.
    pub tls_sessions: usize,
    /// Certificates in memory; others are read or signed again when they are asked for.
    pub certificates: usize,
    /// Between two active health checks of a pool that has a health path.
    pub probe_interval: Duration,
    /// How certificates are obtained.
    pub acme: AcmeLimits,
}

/// Bounds of obtaining certificates by themselves.
#[derive(Clone, Debug)]
pub struct AcmeLimits {
    /// Names that are under way at the same time.
    pub orders: usize,
    /// How long an authority may take to answer a request.
    pub request: Duration,
    /// How long an authority may take to look whether a host is ours, and to sign.
    pub order: Duration,
    /// After the first failure of a name; doubled with each further one. Five failed looks in an hour are what public
    /// authorities allow.
    pub first_retry: Duration,
    /// The longest pause between two tries while it is the host's or the authority's word that stands against it.
    pub longest_retry: Duration,
    /// The longest pause between two tries while no authority answers.
    pub longest_away: Duration,
    /// How long an authority that did not answer is left alone, so that not every name finds out anew.
    pub authority_rest: Duration,
    /// How often an authority is asked when it would have a certificate renewed, unless it says how often.
    pub window_check: Duration,
    /// How long a DNS record may take to be seen at every server of its zone.
    pub dns_seen: Duration,
    /// How long a program that writes DNS records may run.
    pub dns_hook: Duration,
}

impl Default for AcmeLimits {
    fn default() -> AcmeLimits {
        AcmeLimits {
            orders: 8,
            request: Duration::from_secs(30),
            order: Duration::from_secs(120),
            first_retry: Duration::from_secs(300),
            longest_retry: Duration::from_secs(12 * 3600),
            longest_away: Duration::from_secs(3600),
            authority_rest: Duration::from_secs(60),
            window_check: Duration::from_secs(6 * 3600),
            dns_seen: Duration::from_secs(180),
            dns_hook: Duration::from_secs(120),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            threads: None,
            head_bytes: 32 << 10,
            target_bytes: 8 << 10,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            tunnel_idle_timeout: Duration::from_secs(3600),
            connect_patience: Duration::from_secs(2),
            pool_idle_timeout: Duration::from_secs(30),
            pool_size: 256,
            streams: 128,
            quic_connections: 4096,
            quic_connections_of_one: 256,
            replay_bytes: 64 << 10,
            stop_grace: Duration::from_secs(10),
            log_file_bytes: 64 << 20,
            log_old_files: 4,
            handover_grace: Duration::from_secs(300),
            handshake_timeout: Duration::from_secs(10),
            handshakes: 1024,
            tls_sessions: 1024,
            certificates: 1024,
            probe_interval: Duration::from_secs(5),
            acme: AcmeLimits::default(),
        }
    }
}
