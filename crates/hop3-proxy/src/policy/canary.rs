// SPDX-License-Identifier: Apache-2.0
//! Which visitors get the service that is tried out: those who say so, else those whose lot is low enough. A lot is
//! drawn once and kept in a cookie, so that a visitor sees one version, and a growing share takes nobody back.

use super::live::Live;
use super::sticky::line;
use super::visit::Visit;
use hop3_core::route::Canary;

const COOKIE: &str = "hop3-lot";
const LOTS: u16 = 100;

pub(super) fn choose(live: &Live, visit: &mut Visit<'_>) {
    let Some(canary) = &live.canary else { return };
    let lot = match visit.cookie_of(COOKIE).and_then(|lot| lot.parse().ok()).filter(|lot| *lot < LOTS) {
        Some(lot) => lot,
        None => {
            let lot = draw();
            visit.lines += &line(COOKIE, &lot.to_string(), visit.scheme == "https");
            lot
        }
    };
    visit.is_tried = said(canary, visit).unwrap_or(lot < u16::from(canary.percent));
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
