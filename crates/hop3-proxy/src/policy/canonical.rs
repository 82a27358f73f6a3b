// SPDX-License-Identifier: Apache-2.0
//! One name for a service that has several: the others redirect.

use super::answer::Answer;
use super::live::Live;
use super::visit::Visit;

pub(super) fn check(live: &Live, visit: &Visit<'_>) -> Result<(), Answer> {
    let Some(canonical) = &live.source.canonical_host else { return Ok(()) };
    let (name, port) = match visit.host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, Some(port)),
        _ => (visit.host, None),
    };
    let is_canonical = name.trim_end_matches('.').eq_ignore_ascii_case(canonical.as_str());
    if is_canonical || !visit.target.starts_with('/') {
        return Ok(());
    }
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let status = if matches!(visit.method, "GET" | "HEAD") { 301 } else { 308 };
    Err(Answer::redirect(status, &format!("{}://{canonical}{port}{}", visit.scheme, visit.target)))
}
