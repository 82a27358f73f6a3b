// SPDX-License-Identifier: Apache-2.0
//! `kill -9` of each role, at rest and at every step of a deployment, under load: apps keep their processes, requests
//! fail only while the proxy itself is away, and what was under way is told and leaves nothing.

use crate::harness::{Hop, Repository, fixture, until};
use crate::load::Load;
use hop3_core::event::DeployStep;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const APP: &str = "steady";
/// Each step takes long enough to be met in it.
const SLOW: &str =
    "build: sh -c 'sleep 0.3'\nrelease: sh -c 'sleep 0.3'\nweb: sh -c 'sleep 0.3; exec perl server.pl'\n";
/// A generous bound of what takes a few tens of milliseconds on a machine at rest.
const GAP: Duration = Duration::from_secs(2);

/// Reads the app's events as they happen, over a connection that only a killed server ends.
struct Events(BufReader<UnixStream>);

impl Events {
    fn follow(hop: &Hop, after: i64) -> Events {
        let mut stream = UnixStream::connect(hop.root().join("run/server/api.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = "Host: localhost\r\nConnection: close\r\n\r\n";
        write!(stream, "GET /api/apps/{APP}/events?follow=true&after={after} HTTP/1.1\r\n{head}").unwrap();
        Events(BufReader::new(stream))
    }

    /// Waits for the next event that is so.
    fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the events ended");
            let Some(data) = line.strip_prefix("data:") else { continue };
            let row: Value = serde_json::from_str(data.trim()).unwrap();
            if is_it(&row["event"]) {
                return row;
            }
        }
    }
}

fn newest_event(hop: &Hop) -> i64 {
    let answer = hop.api("GET", &format!("/api/apps/{APP}/events"), "");
    let rows: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
    rows.last().and_then(|row| row["id"].as_i64()).unwrap_or(0)
}

struct Trial {
    hop: Hop,
    repository: Repository,
    version: u32,
    /// Releases that have been current.
    served: BTreeSet<u64>,
    /// When the proxy was away.
    gaps: Vec<(Instant, Instant)>,
}

/// What a killed role must not change, or only by the deployment that was under way.
struct Before {
    current: u64,
    artifacts: BTreeSet<String>,
    instances: Vec<Value>,
}

impl Trial {
    fn start() -> Trial {
        let hop = Hop::start();
        let repository = hop.push(APP, &fixture("steady"));
        repository.write("Procfile", SLOW);
        Trial { hop, repository, version: 1, served: BTreeSet::from([1]), gaps: Vec::new() }
    }

    fn before(&self) -> Before {
        let entries = std::fs::read_dir(self.hop.root().join("artifacts")).unwrap();
        Before {
            current: self.hop.json(["app", "info", APP, "--json"])["release"].as_u64().unwrap(),
            artifacts: entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect(),
            instances: self.hop.instances(APP),
        }
    }

    /// Kills a role and waits until another is it.
    fn kill(&mut self, role: &str) {
        let killed = Instant::now();
        let pid = self.hop.kill(role);
        if role == "proxy" {
            until("the proxy answers", || self.answers());
            self.gaps.push((killed, Instant::now()));
        }
        until("the role is back", || self.hop.pid_of(role).is_some_and(|new| new != pid));
        until("the server answers", || self.hop.api("GET", "/api/apps", "").status == 200);
    }

    fn answers(&self) -> bool {
        let host = format!("{APP}.localhost:{}", self.hop.port);
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.hop.port))?;
            write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line)?;
            Ok(line)
        };
        ask().is_ok_and(|line| line.starts_with("HTTP/1.1 200 "))
    }

    fn kill_at_rest(&mut self, role: &str) {
        let before = self.before();
        self.kill(role);
        let after = self.before();
        assert_eq!(after.instances, before.instances, "after the death of the {role}");
        assert_eq!((after.current, after.artifacts), (before.current, before.artifacts));
    }

    /// Kills a role when a step of a deployment begins; gives how the deployment ended.
    fn kill_at(&mut self, role: &str, step: DeployStep) -> String {
        self.version += 1;
        self.repository.write("version", &self.version.to_string());
        let before = self.before();
        let mut events = Events::follow(&self.hop, newest_event(&self.hop));
        let mut deploying = self.hop.begin(&self.repository.path, ["deploy", ".", "-a", APP]);
        events.until(|e| e["kind"] == "step-started" && e["step"] == step.as_str());
        self.kill(role);
        let ended_well = deploying.wait().unwrap().success();
        let state = self.settled();
        assert!(!ended_well || state == "succeeded", "the one who deployed was told of a success: {state}");
        self.look(&before, &state);
        state
    }

    /// How the last deployment ended, once it has.
    fn settled(&self) -> String {
        let mut state = String::new();
        until("the deployment has ended", || {
            let answer = self.hop.api("GET", &format!("/api/apps/{APP}/deployments"), "");
            let all: Value = serde_json::from_slice(&answer.body).unwrap();
            all[0]["state"].as_str().unwrap().clone_into(&mut state);
            state != "running"
        });
        state
    }

    /// What is told agrees with what is.
    fn look(&mut self, before: &Before, state: &str) {
        let current = self.hop.json(["app", "info", APP, "--json"])["release"].as_u64().unwrap();
        assert!(current == before.current || self.served.insert(current), "v{current} serves again");
        assert!(state != "failed" || current == before.current, "v{current} serves and has failed");
        assert!(state != "succeeded" || current > before.current, "v{current} serves after a success");
        until("what never served is stopped", || {
            let releases = self.hop.instances(APP).into_iter().map(|i| i["release"].as_u64().unwrap());
            releases.collect::<BTreeSet<_>>().is_subset(&self.served)
        });
        until("what was built is kept if it served", || {
            let now = self.before().artifacts;
            let is_more = now.len() == before.artifacts.len() + usize::from(current != before.current);
            is_more && now.is_superset(&before.artifacts)
        });
        let instances = self.hop.instances(APP);
        let own: Vec<&Value> = instances.iter().filter(|i| i["release"] == current).collect();
        assert_eq!((own.len(), &own[0]["restarts"]), (1, &Value::from(0)), "{instances:?}");
        for old in &before.instances {
            let now = instances.iter().find(|i| i["id"] == old["id"]);
            assert!(now.is_none_or(|now| now["pid"] == old["pid"]), "{old} became {now:?}");
        }
        assert_eq!(self.routed(), [format!("{APP}/web.v{current}.1")]);
        self.say_interrupted(state);
    }

    /// Upstreams of the app in the proxy's table.
    fn routed(&self) -> Vec<String> {
        let text = self.hop.saved_routes()[APP].to_string();
        let ids = text.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next());
        ids.map(str::to_owned).collect()
    }

    /// An interrupted deployment, and only such a one, ends with the event that says so.
    fn say_interrupted(&self, state: &str) {
        let answer = self.hop.api("GET", &format!("/api/apps/{APP}/events"), "");
        let rows: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
        let last = rows.iter().rev().find(|row| {
            let kind = row["event"]["kind"].as_str().unwrap_or_default();
            matches!(kind, "deployment-interrupted" | "deployment-failed" | "deployment-succeeded")
        });
        assert_eq!(last.unwrap()["event"]["kind"], format!("deployment-{state}"));
    }

    /// Ends with a deployment that works, and no other release left.
    fn finish(mut self, load: Load) {
        self.version += 1;
        self.repository.write("version", &self.version.to_string());
        self.hop.hop3_in(&self.repository.path, ["deploy", ".", "-a", APP]).expect_ok();
        let current = self.hop.json(["app", "info", APP, "--json"])["release"].as_u64().unwrap();
        load.wait_for(u32::try_from(current).unwrap());
        let tally = load.stop();
        let mut gaps: Vec<u128> = self.gaps.iter().map(|(from, to)| (*to - *from).as_millis()).collect();
        gaps.sort_unstable();
        let failed = tally.failures.len();
        println!("{} requests, {failed} failures, proxy away (ms): {gaps:?}", tally.total());
        tally.expect_failures_within(&self.gaps);
        assert!(gaps.iter().all(|gap| *gap < GAP.as_millis()), "{gaps:?}");
        until("only the newest release runs", || {
            self.hop.instances(APP).iter().all(|i| i["release"] == current)
        });
    }
}

#[test]
fn a_killed_server_is_back_and_tells_what_was_interrupted() {
    let mut trial = Trial::start();
    let load = Load::start(trial.hop.port, APP);
    trial.kill_at_rest("server");
    for step in DeployStep::ALL {
        // A busy machine may bring the news of a short step when the deployment is over: that kill says nothing of it.
        let state = (0..5).map(|_| trial.kill_at("server", step)).find(|state| state != "succeeded");
        // The last step only begins something that goes on, so that the deployment may always be over first.
        let is_over = step == DeployStep::Retire && state.is_none();
        assert!(is_over || state.as_deref() == Some("interrupted"), "{state:?} at {step:?}");
    }
    trial.finish(load);
}

#[test]
fn a_killed_proxy_is_back_with_its_routes_and_deployments_go_on() {
    let mut trial = Trial::start();
    let load = Load::start(trial.hop.port, APP);
    trial.kill_at_rest("proxy");
    for step in DeployStep::ALL {
        assert_eq!(trial.kill_at("proxy", step), "succeeded", "at {step:?}");
    }
    trial.finish(load);
}

#[test]
fn a_killed_supervisor_is_back_with_its_instances() {
    let mut trial = Trial::start();
    let load = Load::start(trial.hop.port, APP);
    trial.kill_at_rest("supervisor");
    for step in DeployStep::ALL {
        let state = trial.kill_at("supervisor", step);
        // A command of the build or the release ends with the supervisor; a kill early may meet one.
        assert!(
            state == "succeeded" || (step < DeployStep::Start && state == "failed"),
            "{state} at {step:?}"
        );
    }
    trial.finish(load);
}

/// Nobody has the release that the instances of a first deployment are of.
#[test]
fn a_first_deployment_that_is_interrupted_leaves_nothing() {
    let hop = Hop::start();
    hop.hop3(["app", "create", APP]).expect_ok();
    let repository = hop.repository(APP, &fixture("steady"));
    repository.write("Procfile", "web: sleep 600\n");
    let mut events = Events::follow(&hop, 0);
    let mut deploying = hop.begin(&repository.path, ["deploy", ".", "-a", APP]);
    events.until(|e| e["kind"] == "step-started" && e["step"] == "healthy");
    assert_eq!(hop.instances(APP).len(), 1);
    let pid = hop.kill("server");
    assert!(!deploying.wait().unwrap().success());
    until("the server is back", || hop.pid_of("server").is_some_and(|new| new != pid));
    until("the server answers", || hop.api("GET", "/api/apps", "").status == 200);
    until("nothing runs", || hop.instances(APP).is_empty());
    assert_eq!(std::fs::read_dir(hop.root().join("artifacts")).unwrap().count(), 0);
    repository.write("Procfile", "web: perl server.pl\n");
    hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
    assert_eq!(hop.get(APP, "/").status, 200);
}
