// SPDX-License-Identifier: Apache-2.0
//! What a line of the library's log says of a rule: id, message, severity.
//!
//! ```text
//! … (Value: `REQUEST' ) [file "…"] [line "…"] [id "…"] … [msg "…"] [data "ESCAPED"] [severity "…"] … [hostname "TOKEN"] [uri "REQUEST"] …
//! ```
//! Invariant: a request cannot speak in the name of a rule. What the library repeats of it stands before the last
//! `[file "`, after the token, which nobody outside knows, or has its quotes escaped.

use hop3_core::waf::Match;

const MAX_MESSAGE: usize = 200;

/// `token` is what the library was told to be the server's address.
pub(crate) fn read(line: &[u8], token: &str) -> Option<Match> {
    let line = String::from_utf8_lossy(line);
    let own = &line[..line.find(&format!(" [hostname \"{token}\"]"))?];
    let own = &own[own.rfind(" [file \"")?..];
    let id = field(own, "id")?.parse().ok()?;
    let message = field(own, "msg").unwrap_or_default().chars().take(MAX_MESSAGE).collect();
    let severity = field(own, "severity").and_then(|text| text.parse().ok()).unwrap_or(7);
    Some(Match { id, message, severity })
}

/// The first `[name "value"]`.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let start = line.find(&format!(" [{name} \""))? + name.len() + 4;
    let rest = &line[start..];
    rest.find("\"]").map(|end| &rest[..end])
}

/// What a match adds to the score, as the rules themselves count.
pub(crate) fn weight(severity: u8) -> u32 {
    match severity {
        0..=2 => 5,
        3 => 4,
        4 => 3,
        5 => 2,
        _ => 0,
    }
}
