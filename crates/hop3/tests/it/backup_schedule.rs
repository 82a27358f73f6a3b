// SPDX-License-Identifier: Apache-2.0
//! Schedules that fire by themselves: a backup is made, old ones go, it is proven; and one that fails is told.

use crate::backup::{create, has_restic};
use crate::harness::Hop;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A line of a crontab fires within a minute; then there is something to do.
const PATIENCE: Duration = Duration::from_secs(110);

/// Reads an app's events until there is one of that kind; gives it.
#[track_caller]
fn event(hop: &Hop, app: &str, kind: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", hop.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /api/apps/{app}/events?follow=true HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {}\r\n\r\n",
        hop.port, hop.token
    )
    .unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let wanted = format!("\"kind\":\"{kind}\"");
    lines.find(|line| line.contains(&wanted)).unwrap_or_else(|| panic!("no {kind} of {app}"))
}

#[test]
fn a_schedule_makes_prunes_and_proves_by_itself() {
    if !has_restic("a_schedule_makes_prunes_and_proves_by_itself") {
        return;
    }
    let hop = Hop::start();
    for app in ["shop", "blog"] {
        hop.hop3(["app", "create", app]).expect_ok();
    }
    let place = hop.scratch().join("away");
    hop.hop3(["backup", "targets", "add", "away", place.to_str().unwrap()]).expect_ok();
    let by_hand = [create(&hop, &["-a", "shop"]), create(&hop, &["-a", "shop"])];
    let each_minute = "* * * * *";
    let one = ["--keep-last", "1", "--keep-daily", "0", "--keep-weekly", "0", "--keep-monthly", "0"];
    let schedule = ["backup", "schedule", "--at", each_minute, "--prove", each_minute];
    hop.hop3(schedule.iter().chain(&one).chain(&["-a", "shop"])).expect_ok();
    hop.hop3(schedule.iter().chain(&["-a", "blog", "--to", "away"])).expect_ok();
    // The disk of that place is gone.
    std::fs::rename(&place, hop.scratch().join("unplugged")).unwrap();

    // Both are due at once: the proof comes after what is made, and is of it.
    event(&hop, "shop", "backup-proven");
    hop.hop3(["backup", "schedule", "-a", "shop", "--off"]).expect_ok();
    let listed = hop.json(["backup", "list", "--json"]);
    let of_shop: Vec<_> = listed.as_array().unwrap().iter().filter(|one| one["app"] == "shop").collect();
    assert!(of_shop.iter().any(|one| one["scheduled"] == true && one["proven_ms"].is_u64()), "{listed}");
    assert!(of_shop.iter().all(|one| !by_hand.iter().any(|id| one["id"] == id.as_str())), "{listed}");
    let table = hop.hop3(["backup", "list"]).expect_ok().stdout;
    assert!(table.contains("PROVEN") && !table.contains("FAILED"), "{table}");

    // What failed is told to the app's people, and stands where the operator looks.
    let failed = event(&hop, "blog", "backup-failed");
    assert!(failed.contains("\"code\":\"backup.unreachable\""), "{failed}");
    let logs = hop.hop3(["logs", "-a", "blog"]).expect_ok().text;
    let scheduled = hop.hop3(["backup", "schedule"]).expect_ok().stdout;
    assert!(scheduled.contains("FAILED:"), "{scheduled}");
    let doctor = hop.hop3(["doctor"]).text;
    assert!(doctor.contains("of blog: the directory of the backups is not there"), "{doctor}");
    assert!(hop.operator_log().contains("a scheduled backup was not made"), "{}", hop.operator_log());
    println!("{failed}\n{scheduled}\n{logs}\n{doctor}");

    // The disk is back: nothing has to be done, and nothing fails any more.
    std::fs::rename(hop.scratch().join("unplugged"), &place).unwrap();
    event(&hop, "blog", "backup-proven");
    let scheduled = hop.hop3(["backup", "schedule"]).expect_ok().stdout;
    assert!(!scheduled.contains("FAILED"), "{scheduled}");
}
