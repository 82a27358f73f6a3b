// SPDX-License-Identifier: Apache-2.0
//! Boots a supervisor in a temporary root and ends it, with all it runs, however the test ends.
//!
//! Waiting is by events with a deadline; nothing sleeps for a guessed time.

use hop3_core::layout::Layout;
use hop3_core::sandbox::{Command, Job, Limits, Sandbox};
use hop3_supervisor::{Change, ChangeKind, Client, LogRequest, RestartPolicy, Spec, Status};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Harness {
    pub(crate) layout: Layout,
    pub(crate) client: Client,
    supervisor: Option<Child>,
    allowed_uid: u32,
    _temporary: tempfile::TempDir,
}

/// The example program lies beside the tests.
pub(crate) fn role() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/role")
}

impl Harness {
    pub(crate) fn start() -> Harness {
        Harness::start_for(rustix::process::geteuid().as_raw())
    }

    /// A supervisor that answers this user too.
    pub(crate) fn start_for(allowed_uid: u32) -> Harness {
        let temporary = tempfile::tempdir().unwrap();
        let layout = Layout::new(temporary.path().join("root"));
        let client = Client::new(layout.supervisor_socket());
        let mut harness = Harness { layout, client, supervisor: None, allowed_uid, _temporary: temporary };
        harness.boot();
        harness
    }

    pub(crate) fn boot(&mut self) {
        let mut command = std::process::Command::new(role());
        command
            .arg("supervise")
            .arg(self.layout.root())
            .arg(self.allowed_uid.to_string())
            .stdin(Stdio::null());
        self.supervisor = Some(command.spawn().unwrap());
        eventually("the supervisor answers", || self.client.is_alive());
    }

    pub(crate) fn supervisor_pid(&self) -> u32 {
        self.supervisor.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> std::process::ExitStatus {
        let mut supervisor = self.supervisor.take().unwrap();
        kill_process(Pid::from_child(&supervisor), signal).unwrap();
        supervisor.wait().unwrap()
    }

    /// Everything that happens from now on.
    pub(crate) fn changes(&self) -> Receiver<Change> {
        let (sender, receiver) = channel();
        let (ready, is_ready) = channel();
        let client = self.client.clone();
        std::thread::spawn(move || {
            let _ = client.events(&mut |change| match change {
                Some(change) => sender.send(change).is_ok(),
                None => {
                    let _ = ready.send(());
                    true
                }
            });
        });
        is_ready.recv_timeout(PATIENCE).unwrap();
        receiver
    }

    pub(crate) fn status(&self, id: &str) -> Status {
        let all = self.client.status(None).unwrap();
        all.into_iter().find(|status| status.id == id).unwrap_or_else(|| panic!("there is no {id}"))
    }

    pub(crate) fn log(&self, group: &str) -> Vec<String> {
        let request = LogRequest { group: group.into(), ..LogRequest::default() };
        self.client.logs(&request).unwrap().into_iter().map(|line| line.text).collect()
    }

    pub(crate) fn wait_for_line(&self, group: &str, text: &str) {
        eventually(&format!("{text:?} in the log of {group}"), || {
            self.log(group).iter().any(|line| line.contains(text))
        });
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if self.supervisor.is_none() {
            self.boot();
        }
        if self.client.is_alive() {
            let _ = self.client.shutdown();
        }
        if let Some(mut supervisor) = self.supervisor.take() {
            let _ = supervisor.wait();
        }
    }
}

/// Asks again and again until it is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

pub(crate) fn wait_for(changes: &Receiver<Change>, what: ChangeKind) -> Change {
    loop {
        let change = changes.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("waited in vain for {what:?}"));
        if change.what == what {
            return change;
        }
    }
}

pub(crate) fn job(script: &str) -> Job {
    Job {
        command: Command::shell(script),
        cwd: "/".into(),
        env: BTreeMap::from([("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())]),
        sandbox: Sandbox::default(),
        limits: Limits::default(),
    }
}

/// An instance `<group>.web.v1.1`, impatient enough for tests.
pub(crate) fn spec(group: &str, script: &str) -> Spec {
    Spec {
        id: format!("{group}.web.v1.1"),
        group: group.into(),
        name: "web.v1.1".into(),
        job: job(script),
        stop_grace_secs: 5,
        stop_signal: None,
        restart: RestartPolicy { first_delay_ms: 10, max_delay_ms: 40, ..RestartPolicy::default() },
        labels: BTreeMap::new(),
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A process that has ended, or is a zombie only its parent can bury.
pub(crate) fn is_gone(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        let state = &stat[stat.rfind(')').unwrap() + 2..];
        state.starts_with(['Z', 'X'])
    })
}
