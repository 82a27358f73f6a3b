// SPDX-License-Identifier: Apache-2.0
//! The native runtime on a real supervisor with real processes.
//!
//! Without the usual test harness: the program is also the supervisor and the launcher of its own tests, so that
//! nothing else has to be built first.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test, and tells what it does")]

use hop3_core::driver::{LogQuery, Runtime};
use hop3_core::layout::Layout;
use hop3_core::name::{AppName, ProcessName};
use hop3_core::release::ReleaseNumber;
use hop3_core::sandbox::{Command, Job, Limits, Sandbox};
use hop3_core::workload::{Instance, InstanceState, WantedProcess, Workload};
use hop3_drivers::runtimes::Native;
use hop3_supervisor::{Client, Options};
use std::collections::BTreeMap;
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

type Test = fn(&World);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["launch"] => hop3_supervisor::launch_main(),
        ["supervise", root] => supervise(root),
        _ => {
            let tests: [(&str, Test); 5] = [
                ("instances_follow_the_wanted_counts", instances_follow_the_wanted_counts),
                ("releases_run_side_by_side_and_apps_apart", releases_run_side_by_side_and_apps_apart),
                ("a_restarted_instance_keeps_its_port", a_restarted_instance_keeps_its_port),
                ("an_instance_knows_who_it_is", an_instance_knows_who_it_is),
                ("applying_after_removing_works", applying_after_removing_works),
            ];
            let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
            let wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter.as_str()));
            let mut passed = 0;
            for (name, test) in tests.into_iter().filter(|(name, _)| wanted(name)) {
                let before = Instant::now();
                test(&World::start());
                println!("test {name} ... ok ({:?})", before.elapsed());
                passed += 1;
            }
            // Read by scripts/test; a test that fails panics, and the program with it.
            println!("test result: ok. {passed} passed; 0 failed");
            ExitCode::SUCCESS
        }
    }
}

fn supervise(root: &str) -> ExitCode {
    let launcher = std::env::current_exe().unwrap();
    let allowed_uid = rustix::process::geteuid().as_raw();
    match hop3_supervisor::run(Options { layout: Layout::new(root), allowed_uid, launcher, wanted: None }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

struct World {
    runtime: Native,
    client: Client,
    supervisor: Child,
    _root: tempfile::TempDir,
}

impl World {
    fn start() -> World {
        let root = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let supervisor =
            std::process::Command::new(program).arg("supervise").arg(root.path()).spawn().unwrap();
        let client = Client::new(Layout::new(root.path()).supervisor_socket());
        World { runtime: Native::new(client.clone()), client, supervisor, _root: root }
    }

    fn apply(&self, app: &str, release: u32, counts: &[(&str, u32)]) -> Vec<Instance> {
        self.runtime.apply(&workload(app, release, counts)).unwrap()
    }

    fn ids(&self, app: &str) -> Vec<String> {
        self.runtime.status(Some(&name(app))).unwrap().into_iter().map(|instance| instance.id).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.client.shutdown();
        let _ = self.supervisor.wait();
    }
}

fn name(app: &str) -> AppName {
    app.parse().unwrap()
}

fn workload(app: &str, release: u32, counts: &[(&str, u32)]) -> Workload {
    let wanted = |count, process: &str| WantedProcess {
        count,
        job: Job {
            command: Command::shell(
                "echo $HOP3_PROCESS $HOP3_INSTANCE ${PORT-none} $BIND_ADDRESS; exec sleep 1000",
            ),
            cwd: "/".into(),
            env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
            sandbox: Sandbox::default(),
            limits: Limits::default(),
        },
        serves: process == "web",
        stop_grace_secs: 5,
    };
    let processes = counts
        .iter()
        .map(|(process, count)| (process.parse::<ProcessName>().unwrap(), wanted(*count, process)))
        .collect();
    Workload { app: name(app), release: ReleaseNumber(release), processes }
}

fn pids(instances: &[Instance]) -> Vec<Option<u32>> {
    instances.iter().map(|instance| instance.pid).collect()
}

fn instances_follow_the_wanted_counts(world: &World) {
    let two = world.apply("shop", 1, &[("web", 2), ("worker", 1)]);
    assert_eq!(world.ids("shop"), ["web.v1.1", "web.v1.2", "worker.v1.1"]);
    assert!(two.iter().all(|instance| instance.state == InstanceState::Running));
    let ports: Vec<_> = two.iter().map(|instance| instance.address).collect();
    assert!(ports[0].is_some() && ports[1].is_some() && ports[0] != ports[1] && ports[2].is_none());
    assert_eq!(world.apply("shop", 1, &[("web", 2), ("worker", 1)]), two, "nothing to do");
    let three = world.apply("shop", 1, &[("web", 3), ("worker", 0)]);
    assert_eq!(world.ids("shop"), ["web.v1.1", "web.v1.2", "web.v1.3"]);
    assert_eq!(pids(&three)[..2], pids(&two)[..2]);
    let one = world.apply("shop", 1, &[("web", 1)]);
    assert_eq!(one[..], three[..1]);
}

fn releases_run_side_by_side_and_apps_apart(world: &World) {
    world.apply("blog", 1, &[("web", 1)]);
    world.apply("blog", 2, &[("web", 1)]);
    world.apply("blog2", 1, &[("web", 1)]);
    assert_eq!(world.ids("blog"), ["web.v1.1", "web.v2.1"]);
    world.runtime.remove(&name("blog"), Some(ReleaseNumber(1))).unwrap();
    assert_eq!(world.ids("blog"), ["web.v2.1"]);
    world.runtime.remove(&name("blog"), None).unwrap();
    world.runtime.remove(&name("blog"), None).unwrap();
    assert!(world.ids("blog").is_empty());
    assert_eq!(world.runtime.status(None).unwrap().len(), 1);
    assert_eq!(world.ids("blog2"), ["web.v1.1"]);
}

fn a_restarted_instance_keeps_its_port(world: &World) {
    let before = world.apply("shop", 7, &[("web", 1)]);
    world.runtime.restart(&name("shop"), "web.v7.1").unwrap();
    let after = world.runtime.status(Some(&name("shop"))).unwrap();
    assert_eq!(after[0].address, before[0].address);
    assert_ne!(after[0].pid, before[0].pid);
    let problem = world.runtime.restart(&name("shop"), "web.v7.2").unwrap_err();
    assert_eq!(problem.code, "instance.not-found");
}

fn an_instance_knows_who_it_is(world: &World) {
    let instances = world.apply("shop", 3, &[("web", 1), ("worker", 1)]);
    let port = instances[0].address.unwrap().port();
    let deadline = Instant::now() + Duration::from_secs(20);
    let lines = loop {
        let lines = world.runtime.logs(&name("shop"), &LogQuery::default()).unwrap();
        if lines.len() == 2 {
            break lines;
        }
        assert!(Instant::now() < deadline, "{lines:?}");
    };
    let mut texts: Vec<&str> = lines.iter().map(|line| line.text.trim_end()).collect();
    texts.sort_unstable();
    assert_eq!(texts, [format!("web web.v3.1 {port} 127.0.0.1").as_str(), "worker worker.v3.1 none"]);
    let query = LogQuery { process: Some("worker".parse().unwrap()), ..LogQuery::default() };
    assert_eq!(world.runtime.logs(&name("shop"), &query).unwrap().len(), 1);
    world.runtime.forget_logs(&name("shop")).unwrap();
    assert!(world.runtime.logs(&name("shop"), &LogQuery::default()).unwrap().is_empty());
}

fn applying_after_removing_works(world: &World) {
    let before = world.apply("shop", 1, &[("web", 2)]);
    world.runtime.remove(&name("shop"), None).unwrap();
    let after = world.apply("shop", 1, &[("web", 2)]);
    assert_eq!(after.len(), 2);
    assert!(pids(&after).iter().all(|pid| !pids(&before).contains(pid)));
}
