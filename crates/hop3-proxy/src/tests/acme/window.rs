// SPDX-License-Identifier: Apache-2.0
//! What an authority says of time: when it would have a certificate renewed, and when it may be asked again.

use super::Bench;
use super::authority::{Setup, lacks, until};
use super::front::Front;
use hop3_core::acme::AcmeChange;
use std::time::Duration;

const PEBBLE: &[&str] = &["pebble", "pebble-challtestsrv"];

fn behind(front: &Front, bench: &Bench) -> AcmeChange {
    AcmeChange {
        authorities: Some(vec![front.directory.clone()]),
        root_pem: Some(front.root_pem.clone()),
        ..bench.change()
    }
}

#[test]
fn a_certificate_is_renewed_in_the_window_its_authority_suggests() {
    if lacks("a_certificate_is_renewed_in_the_window_its_authority_suggests", PEBBLE) {
        return;
    }
    let bench = Bench::start(Setup::default());
    let front = Front::start(&bench.pebble);
    bench.serve("shop.example.org");
    bench.set(behind(&front, &bench));
    bench.until_there("shop.example.org");
    // The first should have been renewed yesterday, though it is good until tomorrow; the second has a month.
    until("the second was asked for", || {
        let state = front.state.lock().unwrap();
        state.asked.iter().any(|id| *id != state.asked[0])
    });
    until("it is remembered", || bench.progress("shop.example.org").contains("renew_ms"));
    let state = front.state.lock().unwrap();
    let replaced: Vec<_> = state.orders.iter().map(|(replaces, _)| replaces.clone()).collect();
    assert_eq!(replaced, [None, Some(state.asked[0].clone())], "the new takes the place of the old");
    // A day's certificate is not left to a month's window.
    let progress: serde_json::Value = serde_json::from_str(&bench.progress("shop.example.org")).unwrap();
    assert!(
        progress["window"]["renew_ms"].as_u64().unwrap() > progress["window"]["check_ms"].as_u64().unwrap()
    );
}

#[test]
fn a_rate_limit_is_kept_to() {
    if lacks("a_rate_limit_is_kept_to", PEBBLE) {
        return;
    }
    let bench = Bench::start(Setup::default());
    let front = Front::start(&bench.pebble);
    front.state.lock().unwrap().refuse = 1;
    bench.serve("shop.example.org");
    bench.set(behind(&front, &bench));
    bench.until_told("shop.example.org", "acme.rate-limited");
    assert!(bench.progress("shop.example.org").contains("too many certificates already issued"));
    bench.until_there("shop.example.org");
    let state = front.state.lock().unwrap();
    let (first, second) = (state.orders[0].1, state.orders[1].1);
    assert!(
        second - first >= Duration::from_millis(1_900),
        "two seconds were asked for: {:?}",
        second - first
    );
}
