// SPDX-License-Identifier: Apache-2.0
//! Which visitors get the instances that are tried out: those who say so, else those whose lot is low enough. A lot is
//! drawn once and kept in a cookie, so that a visitor sees one version, and a growing share takes nobody back.

use super::live::Live;
use super::sticky::line;
use super::visit::Visit;
use hop3_core::route::Canary;

const COOKIE: &str = "hop3-lot";
const LOTS: u16 = 100;

/// For each canary of the service, whether this request gets it.
pub(super) fn choose(live: &Live, visit: &mut Visit<'_>) {
    if live.canaries.is_empty() {
        return;
    }
    let lot = match visit.cookie_of(COOKIE).and_then(|lot| lot.parse().ok()).filter(|lot| *lot < LOTS) {
        Some(lot) => lot,
        None => {
            let lot = draw();
            visit.lines += &line(COOKIE, &lot.to_string(), visit.scheme == "https");
            lot
        }
    };
    visit.canaries = live
        .canaries
        .iter()
        .map(|canary| said(canary, visit).unwrap_or(lot < u16::from(canary.percent)))
        .collect();
}

fn said(canary: &Canary, visit: &Visit<'_>) -> Option<bool> {
    let header = canary.header.as_deref().and_then(|name| visit.header(name));
    let cookie = canary.cookie.as_deref().and_then(|name| visit.cookie_of(name));
    match header.or(cookie)? {
        "always" => Some(true),
        "never" => Some(false),
        _ => None,
    }
}

fn draw() -> u16 {
    let mut bytes = [0; 2];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok();
    u16::from_ne_bytes(bytes) % LOTS
}
