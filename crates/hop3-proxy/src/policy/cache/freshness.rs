// SPDX-License-Identifier: Apache-2.0
//! What headers say about keeping an answer (RFC 9111, for a cache that many share). In doubt it is not kept.

use super::super::edit::{are_text, value, values};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use std::time::Duration;

/// However long an answer says it is good, it is asked for again after this.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How an answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Freshness {
    pub(in crate::policy) lifetime: Duration,
    /// Also for requests that bring a cookie.
    pub(in crate::policy) is_public: bool,
}

/// Of the directives of a `Cache-Control`, those that matter.
#[derive(Default)]
struct Directives {
    forbids: bool,
    is_public: bool,
    max_age: Option<u64>,
    s_maxage: Option<u64>,
}

impl Directives {
    fn read(head: &[u8]) -> Directives {
        let mut found = Directives::default();
        for part in values(head, "Cache-Control").flat_map(|line| line.split(',')) {
            let (name, argument) = part.split_once('=').unwrap_or((part, ""));
            let seconds = || argument.trim().trim_matches('"').parse::<u64>().unwrap_or(0);
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "private" | "no-cache" => found.forbids = true,
                "public" => found.is_public = true,
                "max-age" => found.max_age = Some(found.max_age.unwrap_or(u64::MAX).min(seconds())),
                "s-maxage" => found.s_maxage = Some(found.s_maxage.unwrap_or(u64::MAX).min(seconds())),
                _ => {}
            }
        }
        found
    }
}

/// How long the answer of that head is good from now on; `None` when it is not to be kept.
pub(in crate::policy) fn of(head: &[u8], status: u16, now: Timestamp) -> Option<Freshness> {
    // What cannot be read may say that it is somebody's own.
    if !are_text(head, &["Cache-Control", "Set-Cookie", "Vary"]) {
        return None;
    }
    let directives = Directives::read(head);
    let is_cookie = value(head, "Set-Cookie").is_some();
    let is_kept = matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 410);
    if !is_kept || is_cookie || directives.forbids || values(head, "Vary").any(|v| v.contains('*')) {
        return None;
    }
    let seconds = directives.s_maxage.or(directives.max_age).or_else(|| expires_in(head, now))?;
    let age = value(head, "Age").and_then(|age| age.parse().ok()).unwrap_or(0);
    let lifetime = Duration::from_secs(seconds.saturating_sub(age)).min(LONGEST);
    let is_public = directives.is_public || directives.s_maxage.is_some();
    (!lifetime.is_zero()).then_some(Freshness { lifetime, is_public })
}

fn expires_in(head: &[u8], now: Timestamp) -> Option<u64> {
    let date = |name| value(head, name).and_then(|text| DateTimeParser::new().parse_timestamp(text).ok());
    let from = date("Date").unwrap_or(now);
    u64::try_from(date("Expires")?.duration_since(from).as_secs()).ok()
}

/// A request that wants nothing kept, or wants it fresh from the upstream.
pub(in crate::policy) fn bypasses(cache_control: &str, pragma: &str) -> bool {
    let word = |text: &str| {
        let text = text.trim().to_ascii_lowercase();
        matches!(text.as_str(), "no-store" | "no-cache" | "max-age=0")
    };
    cache_control.split(',').any(word) || (cache_control.is_empty() && word(pragma))
}
