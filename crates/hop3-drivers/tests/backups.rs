// SPDX-License-Identifier: Apache-2.0
//! restic judged by the contract of backup stores, on a real supervisor.
//!
//! Without the usual test harness: the program is also the supervisor and the launcher of its own test.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test, and tells what it does")]

use hop3_core::driver::{BackupPlace, Runner};
use hop3_core::layout::Layout;
use hop3_core::secret::Secret;
use hop3_drivers::backups::Restic;
use hop3_drivers::contract::backup_store::{Ground, broken_rules};
use hop3_supervisor::{Client, Options};
use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NAME: &str = "restic_keeps_the_contract_of_stores";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["launch"] => hop3_supervisor::launch_main(),
        ["supervise", root] => supervise(root),
        _ => {
            let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
            if filter.is_some_and(|filter| !NAME.contains(filter.as_str())) {
                println!("test result: ok. 0 passed; 0 failed");
            } else if Command::new("restic").arg("version").output().is_err() {
                assert!(std::env::var_os("HOP3_NO_SKIP").is_none(), "{NAME} may not be skipped");
                println!("SKIP {NAME}: restic is not there\ntest result: ok. 0 passed; 0 failed");
            } else {
                judge();
                println!("test {NAME} ... ok\ntest result: ok. 1 passed; 0 failed");
            }
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

fn judge() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::new(directory.path().join("root"));
    let client = Client::new(layout.supervisor_socket());
    let program = std::env::current_exe().unwrap();
    let mut supervisor = Command::new(program).arg("supervise").arg(layout.root()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !client.is_alive() {
        assert!(Instant::now() < deadline, "the supervisor does not answer");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let runner: Arc<dyn Runner> = Arc::new(client.clone());
    let store = Restic::new(&layout, runner);
    let place = BackupPlace {
        location: Secret::new(layout.backup_repository().to_string_lossy().into_owned()),
        env: Secret::new(BTreeMap::new()),
        key: Secret::new("the key".to_owned()),
        user: Some(64_301),
        upload_kib: None,
    };
    let broken = broken_rules(&Ground { store: &store, place, layout: &layout });
    client.shutdown().unwrap();
    supervisor.wait().unwrap();
    assert!(broken.is_empty(), "{broken:#?}");
}
