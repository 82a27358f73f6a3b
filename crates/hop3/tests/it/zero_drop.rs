// SPDX-License-Identifier: Apache-2.0
//! Under constant load, changes of every sort: no request fails, and no connection is reset before its drain is over.

use crate::harness::{Hop, Repository, fixture, until};
use crate::load::Load;

const APP: &str = "steady";

fn scale(hop: &Hop, count: u32) {
    hop.hop3(["scale", &format!("web={count}"), "-a", APP]).expect_ok();
    assert_eq!(hop.instances(APP).iter().filter(|i| i["release"] == 1).count(), count as usize);
}

fn deploy(hop: &Hop, repository: &Repository, version: u32) {
    repository.write("version", &version.to_string());
    hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
}

#[test]
fn no_change_drops_a_request() {
    let hop = Hop::start();
    let repository = hop.push(APP, &fixture("steady"));
    let load = Load::start(hop.port, APP);
    for _ in 0..5 {
        scale(&hop, 3);
        scale(&hop, 1);
    }
    for version in 2..=21 {
        deploy(&hop, &repository, version);
        load.wait_for(version);
        load.more(400);
    }
    for setting in 1..=5_u32 {
        hop.hop3(["config", "set", &format!("SETTING={setting}"), "-a", APP]).expect_ok();
        load.wait_for(21 + setting);
        load.more(400);
    }
    for rollback in 1..=3_u32 {
        hop.hop3(["rollback", "-a", APP]).expect_ok();
        load.wait_for(26 + rollback);
        load.more(400);
    }
    let tally = load.stop();
    println!("{:?}: {} requests, {} failures", tally.requests, tally.total(), tally.failures.len());
    tally.expect_no_failure();
    assert_eq!(tally.releases.len(), 29);
    until("only the last release runs", || hop.instances(APP).iter().all(|i| i["release"] == 29));
    assert!(tally.total() > 10_000, "only {} requests", tally.total());
    assert_eq!(tally.releases[&26], "release=v26 version=21 setting=5");
}
