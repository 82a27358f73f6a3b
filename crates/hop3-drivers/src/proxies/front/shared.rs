// SPDX-License-Identifier: Apache-2.0
//! What several products' configurations say alike.

use hop3_core::route::Timeouts;
use std::net::SocketAddr;

/// Nobody answers.
pub(crate) const DOWN: &str = "<!doctype html><title>Not available</title><h1>Not available</h1><p>The application does not answer now. Try again in a moment.";
/// Somebody would, but not in time.
pub(crate) const SLOW: &str =
    "<!doctype html><title>Too slow</title><h1>Too slow</h1><p>The application did not answer in time.";

/// Milliseconds between two reads: products have one limit for the wait and for pauses, none when 0.
pub(crate) fn longest_pause(timeouts: &Timeouts) -> u64 {
    let Timeouts { connect_ms: _, response_ms, idle_ms } = timeouts;
    if *response_ms == 0 || *idle_ms == 0 { 0 } else { *response_ms.max(idle_ms) }
}

/// What follows the host of a URL over TLS.
pub(crate) fn port_in_url(https: SocketAddr) -> String {
    if https.port() == 443 { String::new() } else { format!(":{}", https.port()) }
}
