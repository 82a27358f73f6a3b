// SPDX-License-Identifier: Apache-2.0
//! The proxy is replaced by a new process under load, and nobody notices.

use crate::harness::{Hop, fixture, until};
use crate::load::Load;
use std::collections::BTreeSet;

const APP: &str = "steady";

#[test]
fn twenty_upgrades_of_the_proxy_under_load_drop_no_request() {
    let hop = Hop::start();
    let repository = hop.push(APP, &fixture("steady"));
    let load = Load::start(hop.port, APP);
    let mut pids = BTreeSet::from([hop.pid_of("proxy").unwrap()]);
    for round in 1..=20_u32 {
        hop.hop3(["proxy", "upgrade"]).expect_ok();
        assert!(pids.insert(hop.pid_of("proxy").unwrap()), "the same process again");
        load.more(200);
        if round % 5 == 0 {
            // A deployment drains through every proxy that still has requests.
            repository.write("version", &round.to_string());
            hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
            load.wait_for(1 + round / 5);
        }
    }
    let tally = load.stop();
    println!("{:?}: {} requests, {} failures", tally.requests, tally.total(), tally.failures.len());
    tally.expect_no_failure();
    assert!(tally.total() > 4_000, "only {} requests", tally.total());
    let last = hop.pid_of("proxy").unwrap();
    let is_gone = |pid: &u32| *pid == last || !std::path::Path::new(&format!("/proc/{pid}/exe")).exists();
    until("every old proxy has ended", || pids.iter().all(is_gone));
}

#[test]
fn without_a_proxy_an_upgrade_says_what_to_do() {
    let mut hop = Hop::start();
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    let said = hop.hop3(["proxy", "upgrade"]);
    assert!(
        !said.ok && said.text.contains("no proxy runs for") && said.text.contains("hint:"),
        "{}",
        said.text
    );
    hop.boot();
}

#[test]
fn an_upgraded_proxy_that_is_killed_comes_back_and_a_stop_ends_all() {
    let hop = Hop::start();
    hop.push(APP, &fixture("steady"));
    hop.hop3(["proxy", "upgrade"]).expect_ok();
    let killed = hop.kill("proxy");
    until("another proxy lives", || hop.pid_of("proxy").is_some_and(|pid| pid != killed));
    until("it answers", || std::net::TcpStream::connect(("127.0.0.1", hop.port)).is_ok());
    assert_eq!(hop.get(APP, "/").status, 200);
}
