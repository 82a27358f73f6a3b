// SPDX-License-Identifier: Apache-2.0
//! Pages of the service's own for errors, also in place of the proxy's.

use super::live::Live;

/// The file for that status: its own, else its class's.
pub(super) fn file(live: &Live, status: u16) -> Option<&str> {
    let pages = &live.source.error_pages;
    if pages.is_empty() || !(400..600).contains(&status) {
        return None;
    }
    let class = if status < 500 { "4xx" } else { "5xx" };
    pages.get(status.to_string().as_str()).or_else(|| pages.get(class)).map(String::as_str)
}
