// SPDX-License-Identifier: Apache-2.0
//! A deployment that fails, at every step in turn, under load: no request fails, the old release serves, and nothing
//! is left behind: no process, directory, port, route, domain or config.

use crate::harness::{Hop, Repository, fixture, until};
use crate::load::Load;
use hop3_core::event::DeployStep;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const APP: &str = "steady";
const PROCFILE: &str = "web: perl server.pl\n";

/// What a failure must leave as it was.
#[derive(Debug, PartialEq)]
pub(crate) struct Standing {
    directories: BTreeSet<String>,
    instances: Vec<(Value, Value, Value)>,
    routes: BTreeMap<String, Value>,
    domains: Value,
    config: Value,
    /// Releases of which a process lives; `build` for what is no release's.
    processes: BTreeSet<String>,
}

pub(crate) fn standing(hop: &Hop) -> Standing {
    let names = |directory: &str| -> Vec<String> {
        let entries = std::fs::read_dir(hop.root().join(directory)).unwrap();
        entries.map(|e| format!("{directory}/{}", e.unwrap().file_name().into_string().unwrap())).collect()
    };
    let info = hop.json(["app", "info", APP, "--json"]);
    let told = hop.instances(APP).into_iter();
    Standing {
        directories: ["artifacts", "layers"].into_iter().flat_map(names).collect(),
        instances: told.map(|i| (i["id"].clone(), i["pid"].clone(), i["address"].clone())).collect(),
        routes: hop.saved_routes(),
        domains: info["domains"].clone(),
        config: hop.json(["config", "list", "-a", APP, "--json"]),
        processes: processes(&hop.root()),
    }
}

/// Looks at every process of the machine for one that was started for an app of this root.
fn processes(root: &Path) -> BTreeSet<String> {
    let home = format!("HOME={}/apps/", root.canonicalize().unwrap().display());
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        let variables = environment.split(|b| *b == 0).map(String::from_utf8_lossy);
        let variables: Vec<_> = variables.collect();
        if variables.iter().any(|v| v.starts_with(&home)) {
            let release = variables.iter().find_map(|v| v.strip_prefix("HOP3_RELEASE="));
            found.insert(release.unwrap_or("build").to_owned());
        }
    }
    found
}

/// Id of the app's newest event.
fn newest_event(hop: &Hop) -> i64 {
    events_after(hop, 0).last().and_then(|row| row["id"].as_i64()).unwrap_or(0)
}

fn events_after(hop: &Hop, after: i64) -> Vec<Value> {
    let answer = hop.api("GET", &format!("/api/apps/{APP}/events?after={after}"), "");
    serde_json::from_slice(&answer.body).unwrap()
}

/// Names of the steps that failed after an event.
fn failed_steps(hop: &Hop, after: i64) -> Vec<String> {
    let failed = events_after(hop, after).into_iter().filter(|row| row["event"]["kind"] == "step-failed");
    failed.map(|row| row["event"]["step"].as_str().unwrap().to_owned()).collect()
}

/// The files of a deployment that fails at a step, and what the one who deploys reads.
fn broken(step: DeployStep) -> (&'static [(&'static str, &'static str)], &'static str) {
    match step {
        DeployStep::Configure => (&[("hop3.toml", "[run\n")], "hop3.toml"),
        DeployStep::Plan => (&[("Procfile", "")], "nothing"),
        DeployStep::Build => (
            &[("Procfile", "build: sh -c 'sleep 600 & echo the reason; exit 3'\nweb: perl server.pl\n")],
            "the reason",
        ),
        DeployStep::Bind => (
            &[("hop3.toml", "[domains]\nlist = [\"a.example.org\", \"taken.example.org\"]\n")],
            "domain.taken",
        ),
        DeployStep::Release => (
            &[
                ("Procfile", "release: sh -c 'sleep 600 & exit 4'\nweb: perl server.pl\n"),
                ("hop3.toml", "[domains]\nlist = [\"b.example.org\"]\n"),
            ],
            "release.command-failed",
        ),
        DeployStep::Start => (&[("Procfile", "web: ./missing\n")], "missing"),
        DeployStep::Healthy => (
            &[
                ("Procfile", "web: sh -c 'sleep 600 & exec sleep 600'\n"),
                ("hop3.toml", "[healthcheck]\ntimeout = 1\n"),
            ],
            "start.not-listening",
        ),
        other => panic!("{other:?} fails in its own way"),
    }
}

/// Deploys and expects it to fail with that text, at that step, and to change nothing.
fn fail(hop: &Hop, repository: &Repository, step: DeployStep, told: &str) {
    let (before, event) = (standing(hop), newest_event(hop));
    repository.write("version", step.as_str());
    let deployed = hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]);
    assert!(!deployed.ok, "{step:?}: {}", deployed.text);
    assert!(deployed.text.contains(told), "{step:?}: {told} is not in\n{}", deployed.text);
    let steps = failed_steps(hop, event);
    // A command that cannot be started is known at the start or at the first look, whichever comes first.
    let is_late = step == DeployStep::Start && steps == ["healthy"];
    assert!(is_late || steps == [step.as_str()], "{step:?} was to fail, not {steps:?}: {}", deployed.text);
    assert_eq!(standing(hop), before, "after a failure at {step:?}");
    let last = &hop.json(["app", "info", APP, "--json"])["release"];
    assert_eq!(*last, 1);
}

fn fail_with_files(hop: &Hop, repository: &Repository, step: DeployStep) {
    let (files, told) = broken(step);
    for (file, text) in files {
        repository.write(file, text);
    }
    if step == DeployStep::Plan {
        std::fs::remove_file(repository.path.join("server.pl")).unwrap();
    }
    fail(hop, repository, step, told);
    std::fs::remove_file(repository.path.join("hop3.toml")).ok();
    repository.write("Procfile", PROCFILE);
    std::fs::copy(fixture("steady/server.pl"), repository.path.join("server.pl")).unwrap();
}

/// An archive with a name that leads out of its directory.
fn fail_at_checkout(hop: &Hop) {
    let (before, event) = (standing(hop), newest_event(hop));
    let mut tar = vec![0_u8; 2048];
    tar[..9].copy_from_slice(b"../canary");
    for (at, field) in [(100, "0000644"), (108, "0000000"), (116, "0000000"), (124, "00000000005")] {
        tar[at..at + field.len()].copy_from_slice(field.as_bytes());
    }
    tar[136..147].copy_from_slice(b"00000000000");
    tar[148..156].fill(b' ');
    tar[156] = b'0';
    tar[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = tar[..512].iter().map(|b| u32::from(*b)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar[512..517].copy_from_slice(b"hello");
    let sent = hop.api("POST", &format!("/api/apps/{APP}/deployments"), &String::from_utf8(tar).unwrap());
    assert!(sent.text().contains("deployment-failed"), "{}", sent.text());
    assert_eq!(failed_steps(hop, event), ["checkout"], "{}", sent.text());
    assert_eq!(standing(hop), before, "after a failure at checkout");
}

/// A proxy that cannot save its table takes no change.
fn fail_at_switch(hop: &Hop, repository: &Repository) {
    repository.write("hop3.toml", "[domains]\nlist = [\"c.example.org\"]\n");
    let changes = hop.root().join("run/proxy/table.changes");
    let aside = changes.with_extension("aside");
    // A proxy opens its file at its first change, and this one has not made any.
    hop.hop3(["proxy", "upgrade"]).expect_ok();
    std::fs::rename(&changes, &aside).unwrap();
    std::fs::create_dir(&changes).unwrap();
    fail(hop, repository, DeployStep::Switch, "proxy.refused");
    std::fs::remove_dir(&changes).unwrap();
    std::fs::rename(&aside, &changes).unwrap();
    std::fs::remove_file(repository.path.join("hop3.toml")).unwrap();
}

/// The old release ignores SIGTERM and has children in sessions of their own: the new one serves, and they end.
fn stubborn_at_retire(hop: &Hop, repository: &Repository, load: &Load) {
    let stubborn = "trap \"\" TERM; setsid sleep 600 & perl server.pl; sleep 600";
    repository.write("Procfile", &format!("web: sh -c '{stubborn}'\n"));
    repository.write("hop3.toml", "[run]\nstop-grace = 1\n");
    hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
    let stubborn = load.newest_after(1);
    std::fs::remove_file(repository.path.join("hop3.toml")).unwrap();
    repository.write("Procfile", PROCFILE);
    hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
    load.newest_after(stubborn);
}

#[test]
fn a_failure_at_any_step_drops_nothing_and_leaves_nothing() {
    let hop = Hop::start();
    hop.hop3(["app", "create", "other"]).expect_ok();
    hop.hop3(["domain", "add", "taken.example.org", "-a", "other"]).expect_ok();
    let repository = hop.push(APP, &fixture("steady"));
    let load = Load::start(hop.port, APP);
    for step in DeployStep::ALL {
        match step {
            DeployStep::Checkout => fail_at_checkout(&hop),
            DeployStep::Switch => fail_at_switch(&hop, &repository),
            DeployStep::Retire => stubborn_at_retire(&hop, &repository, &load),
            step => fail_with_files(&hop, &repository, step),
        }
    }
    let newest = load.newest();
    let tally = load.stop();
    println!("{} requests, {} failures", tally.total(), tally.failures.len());
    tally.expect_no_failure();
    let current = BTreeSet::from([format!("v{newest}")]);
    until("only the newest release runs", || processes(&hop.root()) == current);
    // What failed is told, and each was told as failed.
    let events = events_after(&hop, 0);
    let failed = events.iter().filter(|row| row["event"]["kind"] == "deployment-failed").count();
    assert_eq!(failed, DeployStep::ALL.len() - 1);
    assert_eq!(tally.releases.len(), 3, "{:?}", tally.releases);
}
