// SPDX-License-Identifier: Apache-2.0
//! Scale to zero: an app that nobody asks is stopped or frozen, the first request wakes it and is answered, and no role's
//! death in between changes that.

use crate::harness::{Answer, Hop, Repository, fixture, until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const APP: &str = "drowsy";
/// Ends at its start when a file says so.
const FRAGILE: &str =
    "web: sh -c 'if test -e $HOP3_DATA_DIR/broken; then echo out of luck; exit 3; fi; exec perl server.pl'\n";

fn start() -> (Hop, Repository) {
    let hop = Hop::start();
    let repository = hop.push(APP, &fixture("steady"));
    hop.hop3(["scale", "web=0..1", "--stop-after", "1h", "-a", APP]).expect_ok();
    (hop, repository)
}

fn states(hop: &Hop) -> Vec<String> {
    hop.instances(APP).iter().map(|instance| instance["state"].as_str().unwrap().to_owned()).collect()
}

fn events(hop: &Hop, kind: &str) -> usize {
    let answer = hop.api("GET", &format!("/api/apps/{APP}/events"), "");
    let rows: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
    rows.iter().filter(|row| row["event"]["kind"] == kind).count()
}

fn sleep(hop: &Hop) {
    hop.hop3(["ps", "sleep", "-a", APP]).expect_ok();
    assert_eq!(states(hop), ["sleeping"]);
}

fn freeze(hop: &Hop) -> Value {
    hop.hop3(["ps", "freeze", "-a", APP]).expect_ok();
    assert_eq!(states(hop), ["frozen"]);
    hop.instances(APP)[0]["pid"].clone()
}

fn expect_page(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().starts_with("release="), "{}", answer.text());
}

/// Requests from so many visitors at the same moment.
fn at_once(hop: &Hop, count: usize) -> Vec<u16> {
    thread::scope(|scope| {
        let visitors: Vec<_> = (0..count).map(|_| scope.spawn(|| hop.get(APP, "/").status)).collect();
        visitors.into_iter().map(|visitor| visitor.join().unwrap()).collect()
    })
}

#[test]
fn an_app_that_nobody_asks_sleeps_and_the_first_request_wakes_it() {
    let (hop, repository) = start();
    hop.hop3(["scale", "--freeze-after", "1s", "--stop-after", "2s", "-a", APP]).expect_ok();
    until("it is frozen", || states(&hop) == ["frozen"]);
    until("it is stopped", || states(&hop) == ["sleeping"]);
    assert_eq!(hop.json(["app", "info", APP, "--json"])["state"], "sleeping");
    expect_page(&hop.get(APP, "/"));
    assert_eq!(states(&hop), ["running"]);
    let log = hop.hop3(["logs", "-a", APP, "-n", "100"]).expect_ok().text;
    assert!(log.contains("web.v1.1 stopped: nobody asks") && log.contains("web.v1.1 woken in"), "{log}");
    // A plain number is as it was: it does not sleep. The files of the app may ask for it too.
    hop.hop3(["scale", "web=1", "-a", APP]).expect_ok();
    assert_eq!(hop.json(["scale", "-a", APP, "--json"])["web"], 1);
    hop.push("filed", {
        repository.write("hop3.toml", "[sleep]\nfreeze-after = \"1s\"\n");
        &repository.path
    });
    until("its files let it sleep", || hop.instances("filed")[0]["state"] == "frozen");
    expect_page(&hop.get("filed", "/"));
    assert_eq!(states(&hop), ["running"]);
}

#[test]
fn two_hundred_first_requests_wake_it_once_and_all_are_answered() {
    let (hop, _) = start();
    for (nth, put_to_sleep) in ["sleep", "freeze"].into_iter().enumerate() {
        hop.hop3(["ps", put_to_sleep, "-a", APP]).expect_ok();
        assert_eq!(at_once(&hop, 200), [200; 200]);
        assert_eq!(events(&hop, "instance-woke"), nth + 1);
    }
}

#[test]
fn a_crash_at_waking_is_told() {
    let (hop, repository) = start();
    repository.write("Procfile", FRAGILE);
    repository.commit("fragile");
    repository.push(&hop.remote(APP), "main").expect_ok();
    sleep(&hop);
    let broken = hop.root().join("apps").join(APP).join("data/broken");
    std::fs::write(&broken, "").unwrap();
    let answer = hop.get(APP, "/");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("could not be started"), "{}", answer.text());
    let log = hop.hop3(["logs", "-a", APP, "-n", "100"]).expect_ok().text;
    assert!(log.contains("could not be woken") && log.contains("out of luck"), "{log}");
    assert_eq!((states(&hop), events(&hop, "wake-failed")), (vec!["sleeping".to_owned()], 1));
    let refused = hop.hop3(["ps", "start", "-a", APP]);
    assert!(!refused.ok && refused.text.contains("exit status 3"), "{}", refused.text);
    std::fs::remove_file(broken).unwrap();
    until("it can be woken again", || hop.get(APP, "/").status == 200);
}

#[test]
fn a_frozen_app_goes_on_where_it_was() {
    let (hop, _) = start();
    let pid = freeze(&hop);
    assert_eq!(hop.json(["app", "list", "--json"])[0]["state"], "sleeping");
    expect_page(&hop.get(APP, "/"));
    assert_eq!((states(&hop), &hop.instances(APP)[0]["pid"]), (vec!["running".to_owned()], &pid));
    // Deeper, and from there a restart, a scaling and a stop.
    freeze(&hop);
    sleep(&hop);
    hop.hop3(["ps", "restart", "-a", APP]).expect_ok();
    until("it runs anew", || states(&hop) == ["running"]);
    freeze(&hop);
    hop.hop3(["scale", "web=2", "-a", APP]).expect_ok();
    assert_eq!(states(&hop), ["running", "running"]);
    expect_page(&hop.get(APP, "/"));
    hop.hop3(["ps", "freeze", "-a", APP]).expect_ok();
    hop.hop3(["ps", "stop", "-a", APP]).expect_ok();
    assert_eq!((states(&hop).len(), hop.get(APP, "/").status), (0, 503));
    hop.hop3(["ps", "start", "-a", APP]).expect_ok();
    expect_page(&hop.get(APP, "/"));
}

#[test]
fn a_crowd_gets_company() {
    let (hop, _) = start();
    hop.hop3(["scale", "web=0..2", "-a", APP]).expect_ok();
    assert_eq!(states(&hop), ["running"]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    expect_page(&hop.get(APP, "/slow"));
                }
            });
        }
        until("it has company", || states(&hop) == ["running", "running"]);
        is_over.store(true, Relaxed);
    });
    assert_eq!(hop.json(["scale", "-a", APP, "--json"])["web"], 2);
    sleep(&hop);
    expect_page(&hop.get(APP, "/"));
    assert_eq!(states(&hop), ["running"]);
}

#[test]
fn an_upgraded_connection_keeps_it_awake() {
    let (hop, _) = start();
    let mut stream = TcpStream::connect(("127.0.0.1", hop.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let host = format!("{APP}.localhost");
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("release=")));
    for put_to_sleep in ["sleep", "freeze"] {
        let busy = hop.hop3(["ps", put_to_sleep, "-a", APP]);
        assert!(!busy.ok && busy.text.contains("sleep.busy"), "{}", busy.text);
        assert_eq!(states(&hop), ["running"]);
    }
    writeln!(stream, "still there").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "still there");
    expect_page(&hop.get(APP, "/"));
    drop((stream, lines));
    until("it can sleep", || hop.hop3(["ps", "sleep", "-a", APP]).ok);
    expect_page(&hop.get(APP, "/"));
}

#[test]
fn a_sleeping_app_is_deployed_configured_and_rolled_back() {
    let (hop, repository) = start();
    sleep(&hop);
    repository.write("version", "2");
    repository.commit("second");
    repository.push(&hop.remote(APP), "main").expect_ok();
    let answer = hop.get(APP, "/");
    assert!(answer.text().contains("release=v2 version=2"), "{}", answer.text());
    freeze(&hop);
    hop.hop3(["config", "set", "SETTING=new", "-a", APP]).expect_ok();
    assert!(hop.get(APP, "/").text().contains("setting=new"));
    sleep(&hop);
    hop.hop3(["rollback", "v1", "-a", APP]).expect_ok();
    let answer = hop.get(APP, "/");
    assert!(answer.text().contains("release=v4 version=1"), "{}", answer.text());
    // The new domain of a sleeping app wakes it too.
    sleep(&hop);
    hop.hop3(["domain", "add", "drowsy.example.org", "-a", APP]).expect_ok();
    expect_page(&hop.get_host("drowsy.example.org", "/"));
}

#[test]
fn the_death_of_any_role_loses_no_sleeper_and_no_request() {
    let (hop, _) = start();
    for role in ["server", "supervisor", "proxy"] {
        for put_to_sleep in ["sleep", "freeze"] {
            hop.hop3(["ps", put_to_sleep, "-a", APP]).expect_ok();
            let before = hop.instances(APP);
            let killed = hop.kill(role);
            if role == "proxy" {
                until("the proxy is back", || hop.pid_of(role).is_some_and(|pid| pid != killed));
                until("it listens", || TcpStream::connect(("127.0.0.1", hop.port)).is_ok());
            }
            // Others are away at this moment: requests wait for them.
            assert_eq!(at_once(&hop, 10), [200; 10], "after the death of the {role}");
            until("the role is back", || hop.pid_of(role).is_some_and(|pid| pid != killed));
            until("the server answers", || hop.api("GET", "/api/apps", "").status == 200);
            assert_eq!(states(&hop), ["running"]);
            if put_to_sleep == "freeze" {
                assert_eq!(hop.instances(APP)[0]["pid"], before[0]["pid"]);
            }
        }
    }
}

#[test]
fn the_death_of_a_role_while_it_wakes_converges() {
    let (hop, _) = start();
    for role in ["server", "supervisor"] {
        sleep(&hop);
        let statuses = thread::scope(|scope| {
            let visitors = scope.spawn(|| at_once(&hop, 10));
            until("it is being started", || {
                let state = std::fs::read_dir(hop.root().join("run/supervisor/state")).unwrap();
                state.count() > 0
            });
            hop.kill(role);
            visitors.join().unwrap()
        });
        // One whose instance ended under it may be told so; nobody is left without an answer.
        assert!(statuses.iter().all(|status| *status == 200), "{role}: {statuses:?}");
        until("the server answers", || hop.api("GET", "/api/apps", "").status == 200);
        until("it runs", || states(&hop) == ["running"]);
        expect_page(&hop.get(APP, "/"));
    }
}
