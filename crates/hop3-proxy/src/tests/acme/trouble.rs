// SPDX-License-Identifier: Apache-2.0
//! What goes wrong: hosts that point elsewhere, authorities that are away and come back.

use super::authority::{Setup, lacks, until};
use super::{Bench, quick};
use crate::AcmeLimits;
use crate::cert::Ask as Desk;
use crate::cert::acme::Ask;
use crate::control::{Answer, Request};
use hop3_core::acme::AcmeChange;
use std::time::Duration;

const PEBBLE: &[&str] = &["pebble", "pebble-challtestsrv"];

#[test]
fn a_host_that_points_elsewhere_is_told_and_tried_again() {
    if lacks("a_host_that_points_elsewhere_is_told_and_tried_again", PEBBLE) {
        return;
    }
    let bench = Bench::start(Setup::default());
    // Nobody listens there.
    bench.names.point("away.example.org", "127.7.7.7");
    bench.serve("away.example.org");
    bench.agree();
    bench.until_told("away.example.org", "acme.not-proven");
    let told = bench.progress("away.example.org");
    assert!(told.contains("127.7.7.7") && told.contains("connection"), "the authority's own words: {told}");
    until("tried again", || bench.progress("away.example.org").contains("\"failures\": 2"));
    bench.names.point("away.example.org", "127.0.0.1");
    bench.until_there("away.example.org");
    assert!(bench.pebble.said(&["Added order"]) >= 3, "an order that failed is not taken up again");
}

#[test]
fn a_host_that_fails_is_left_alone_for_a_while() {
    if lacks("a_host_that_fails_is_left_alone_for_a_while", PEBBLE) {
        return;
    }
    // An authority that refuses several nonces in a row is asked anew at once, which is another order.
    let bench = Bench::with(Setup { bad_nonces: 0, ..Setup::default() }, AcmeLimits::default());
    bench.names.point("away.example.org", "127.7.7.7");
    bench.serve("away.example.org");
    bench.agree();
    bench.until_told("away.example.org", "acme.not-proven");
    // News of any kind do not make it try sooner.
    bench.serve("shop.example.org");
    bench.until_there("shop.example.org");
    assert_eq!(bench.pebble.said(&["Added order"]), 2);
    let told: serde_json::Value = serde_json::from_str(&bench.progress("away.example.org")).unwrap();
    let pause = told["next_ms"].as_u64().unwrap() - told["failed_ms"].as_u64().unwrap();
    assert!((240_000..=360_000).contains(&pause), "five minutes, a fifth more or less: {pause}");
    let Answer::Acme(shown) = bench.proxy.ask(&Request::Acme(Ask::Show)) else { panic!("not shown") };
    assert_eq!((&*shown.waiting[0].name, shown.waiting[0].failures), ("away.example.org", 1));
    let Answer::Certificates(told) =
        bench.proxy.ask(&Request::Certificates(Desk::Info { host: "away.example.org".into() }))
    else {
        panic!("not told")
    };
    assert_eq!(told[0].waiting.as_ref(), Some(&shown.waiting[0]));
    // Whoever changes the settings wants to see what comes of it, and whoever asks for it does not wait.
    bench.agree();
    until("tried again", || bench.progress("away.example.org").contains("\"failures\": 2"));
    bench.names.point("away.example.org", "127.0.0.1");
    let renew = |name: &str| bench.proxy.ask(&Request::Acme(Ask::Renew { name: name.into() }));
    assert!(matches!(renew("away.example.org"), Answer::Acme(_)));
    bench.until_there("away.example.org");
    assert!(
        matches!(renew("nowhere.example.org"), Answer::Problem(problem) if problem.code == "acme.not-served")
    );
}

#[test]
fn an_authority_that_is_away_is_waited_for_and_certificates_are_renewed() {
    if lacks("an_authority_that_is_away_is_waited_for_and_certificates_are_renewed", PEBBLE) {
        return;
    }
    let mut bench = Bench::start(Setup { validity_secs: 6, ..Setup::default() });
    bench.serve("shop.example.org");
    bench.agree();
    bench.until_there("shop.example.org");
    let first = bench.certificate("shop.example.org");
    until("renewed in time", || bench.certificate("shop.example.org") != first);
    let second = bench.certificate("shop.example.org");
    bench.pebble.stop();
    bench.until_told("shop.example.org", "acme.away");
    assert_eq!(bench.certificate("shop.example.org"), second, "what there is stays");
    // It has forgotten everything: the account is registered again with the same key.
    let key = account_key(&bench);
    bench.pebble.restart();
    until("renewed when it came back", || bench.certificate("shop.example.org") != second);
    assert_eq!(account_key(&bench), key);
}

fn account_key(bench: &Bench) -> String {
    let mut files = std::fs::read_dir(bench.file("acme/accounts")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none(), "one account");
    let text = std::fs::read_to_string(file).unwrap();
    let saved: serde_json::Value = serde_json::from_str(&text).unwrap();
    saved["key"].as_str().unwrap().to_owned()
}

#[test]
fn the_next_authority_is_asked_when_the_first_is_away() {
    if lacks("the_next_authority_is_asked_when_the_first_is_away", PEBBLE) {
        return;
    }
    let bench = Bench::with(Setup::default(), AcmeLimits { request: Duration::from_secs(2), ..quick() });
    bench.serve("shop.example.org");
    let dead = format!("https://localhost:{}/dir", super::authority::free_port());
    let authorities = Some(vec![dead.clone(), bench.pebble.directory.clone()]);
    bench.set(AcmeChange { authorities, ..bench.change() });
    bench.until_there("shop.example.org");
    let origin = std::fs::read_to_string(bench.file("shop.example.org/origin.json")).unwrap();
    assert!(origin.contains(&bench.pebble.directory), "{origin}");
}
