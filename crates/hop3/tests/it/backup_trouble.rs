// SPDX-License-Identifier: Apache-2.0
//! Backups in trouble: cut off at any moment, a full disk, a wrong key, a damaged file, a place that is gone. Each is
//! told in words, and what was kept before is whole.

use crate::backup::{create, data, has_restic, restic};
use crate::disk_full::{Ballast, MIB, noise, small_disk};
use crate::harness::{Hop, fixture, until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// An app with that much data, which nothing makes smaller.
pub(crate) fn app_with(hop: &Hop, name: &str, size: u64) {
    hop.hop3(["app", "create", name]).expect_ok();
    noise(&data(hop, name).join("noise"), size);
}

#[track_caller]
pub(crate) fn refused(hop: &Hop, arguments: &[&str], code: &str) -> String {
    let said = hop.hop3(arguments);
    assert!(!said.ok && said.text.contains(&format!("error[{code}]")), "{code}: {}", said.text);
    assert!(said.text.contains("hint:"), "{}", said.text);
    said.text
}

/// The restic that the supervisor of this installation runs now.
fn running(hop: &Hop) -> Option<Pid> {
    let supervisor = hop.pid_of("supervisor")?.to_string();
    let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
    children.split_whitespace().find_map(|child| {
        let command = fs::read(format!("/proc/{child}/cmdline")).ok()?;
        command.starts_with(b"restic\0").then(|| Pid::from_raw(child.parse().ok()?)).flatten()
    })
}

#[test]
fn a_backup_that_is_cut_off_at_any_moment_is_none_and_harms_none() {
    if !has_restic("a_backup_that_is_cut_off_at_any_moment_is_none_and_harms_none") {
        return;
    }
    let hop = Hop::start();
    app_with(&hop, "shop", 20 * MIB);
    let first = create(&hop, &["-a", "shop"]);
    let repository = hop.root().join("backups/repository");
    noise(&data(&hop, "shop").join("more"), 10 * MIB);
    let began = Instant::now();
    create(&hop, &["-a", "shop"]);
    let whole = began.elapsed();

    let mut cut = 0;
    for round in 0..20_u32 {
        noise(&data(&hop, "shop").join("noise"), 20 * MIB);
        let mut asked = hop.begin(hop.scratch(), ["backup", "create", "-a", "shop"]);
        let began = Instant::now();
        // Spread over the whole of it, and not twice at the same place of two runs of this test.
        let jitter = u32::from(fs::read("/proc/sys/kernel/random/uuid").unwrap()[0]) % 16;
        let moment = whole * (round * 16 + jitter) / (20 * 16);
        until("the moment comes", || began.elapsed() >= moment);
        if round % 10 == 9 {
            hop.kill("server");
            until("the server is back", || hop.hop3(["app", "list"]).ok);
        } else {
            until("restic runs, or all is over", || {
                running(&hop).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
                    || asked.try_wait().unwrap().is_some()
            });
        }
        cut += u32::from(!asked.wait().unwrap().success());
    }
    assert!(cut >= 12, "only {cut} of 20 were cut off");
    let listed = hop.json(["backup", "list", "--json"]).as_array().unwrap().len();
    assert_eq!(listed as u32, 2 + 20 - cut);
    until("nothing runs", || running(&hop).is_none());
    restic(&hop, &repository, &["unlock"]).expect_ok();
    let checked = restic(&hop, &repository, &["check", "--read-data"]).expect_ok();
    assert!(checked.text.contains("no errors were found"), "{}", checked.text);
    hop.hop3(["backup", "verify", &first]).expect_ok();
    create(&hop, &["-a", "shop"]);
    hop.hop3(["backup", "verify"]).expect_ok();
}

#[test]
fn a_full_disk_is_told_and_earlier_backups_are_whole() {
    let test = "backup_trouble::a_full_disk_is_told_and_earlier_backups_are_whole";
    if !has_restic(test) {
        return;
    }
    let Some(disk) = small_disk(test) else { return };
    let hop = Hop::start_in(disk);
    app_with(&hop, "shop", 10 * MIB);
    let first = create(&hop, &["-a", "shop"]);
    let used = || {
        packs(&hop.root().join("backups/repository"))
            .iter()
            .map(|pack| pack.metadata().unwrap().len())
            .sum::<u64>()
    };
    let whole = used();
    // Where restic cuts, and so whether a pack found room before one did not, hangs on the data.
    let left_something = (0..20).any(|_| {
        noise(&data(&hop, "shop").join("more"), 24 * MIB);
        let _some = Ballast::leave(&hop, 20 * MIB);
        refused(&hop, &["backup", "create", "-a", "shop"], "backup.no-room");
        used() > whole
    });
    assert!(left_something, "each of them left nothing behind");
    {
        let _none = Ballast::leave(&hop, MIB);
        refused(&hop, &["backup", "create", "-a", "shop"], "server.disk-full");
        // How much is left after a backup that found no room is chance; here it is none.
        refused(&hop, &["backup", "restore", &first, "--as", "copy"], "server.disk-full");
    }
    let with_rest = used();
    hop.hop3(["backup", "prune"]).expect_ok();
    assert!(used() < with_rest && used() >= 10 * MIB, "what was begun is gone, and nothing else");
    create(&hop, &["-a", "shop"]);
    {
        let _some = Ballast::leave(&hop, 17 * MIB);
        refused(&hop, &["backup", "verify"], "backup.no-room-here");
    }
    hop.hop3(["backup", "verify", &first]).expect_ok();
    assert!(!hop.root().join("backups/staging").read_dir().unwrap().any(|_| true), "nothing is left of it");
}

#[test]
fn a_place_with_another_key_is_refused() {
    if !has_restic("a_place_with_another_key_is_refused") {
        return;
    }
    let hop = Hop::start();
    let place = hop.scratch().join("theirs");
    let mut init = Command::new("restic");
    init.args(["init", "--no-cache", "--repo"]).arg(&place).env("RESTIC_PASSWORD", "another");
    hop.said(&mut init).expect_ok();
    let place = place.to_str().unwrap();
    refused(&hop, &["backup", "targets", "add", "theirs", place], "backup.wrong-key");
    refused(&hop, &["backup", "targets", "add", "odd", "gopher://there"], "backup.bad-location");
    refused(&hop, &["backup", "targets", "add", "UP", "/there"], "backup.bad-target");
    refused(&hop, &["backup", "create", "--server", "--to", "nowhere"], "backup.unknown-target");
    assert_eq!(hop.json(["backup", "targets", "list", "--json"]).as_array().unwrap().len(), 0);
}

/// Every file beneath the repository's data.
fn packs(repository: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(repository.join("data")).unwrap().flatten();
    folders
        .flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten().map(|file| file.path()))
        .collect()
}

#[test]
fn a_damaged_file_is_found_and_what_does_not_need_it_restores() {
    if !has_restic("a_damaged_file_is_found_and_what_does_not_need_it_restores") {
        return;
    }
    let hop = Hop::start();
    let repository = hop.root().join("backups/repository");
    app_with(&hop, "one", MIB);
    app_with(&hop, "two", MIB);
    let whole = create(&hop, &["-a", "one"]);
    let before = packs(&repository);
    let damaged = create(&hop, &["-a", "two"]);
    let new = packs(&repository).into_iter().filter(|pack| !before.contains(pack));
    let largest = new.max_by_key(|pack| pack.metadata().unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&largest, bytes).unwrap();

    refused(&hop, &["backup", "verify", &damaged], "backup.damaged");
    refused(&hop, &["backup", "restore", &damaged, "--as", "copy"], "backup.damaged");
    let unknown = hop.hop3(["app", "info", "copy"]);
    assert!(unknown.text.contains("app.unknown"), "nothing is left of it: {}", unknown.text);
    let listed = hop.hop3(["backup", "list"]).expect_ok().stdout;
    assert!(listed.contains("FAILED: some of what is kept there is damaged"), "{listed}");
    hop.hop3(["backup", "verify", &whole]).expect_ok();
    hop.hop3(["backup", "restore", &whole, "--as", "copy"]).expect_ok();
    assert_eq!(
        fs::read(data(&hop, "copy").join("noise")).unwrap(),
        fs::read(data(&hop, "one").join("noise")).unwrap()
    );
}

/// A place for backups on the network, and its port.
fn place(directory: &Path, port: Option<&str>) -> (Child, String) {
    let mut python = Command::new("python3");
    python.arg(fixture("restic-rest.py")).arg(directory).args(port).stdout(Stdio::piped());
    let mut server = python.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (server, line.trim().to_owned())
}

pub(crate) fn end(mut server: Child) {
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn a_place_that_is_gone_is_told_and_used_again_when_it_is_back() {
    if !has_restic("a_place_that_is_gone_is_told_and_used_again_when_it_is_back") {
        return;
    }
    let hop = Hop::start();
    app_with(&hop, "shop", MIB);
    let kept = hop.scratch().join("far");
    let (server, port) = place(&kept, None);
    let location = format!("rest:http://somebody:secretword@127.0.0.1:{port}/");
    let added =
        hop.hop3(["backup", "targets", "add", "far", &location, "--limit-upload", "100000"]).expect_ok();
    assert!(added.text.contains("rest:http://somebody:***@127.0.0.1"), "{}", added.text);
    let id = create(&hop, &["-a", "shop", "--to", "far"]);
    end(server);
    let told = [
        refused(&hop, &["backup", "create", "-a", "shop", "--to", "far"], "backup.unreachable"),
        refused(&hop, &["backup", "verify", &id], "backup.unreachable"),
        refused(&hop, &["backup", "restore", &id, "--as", "copy"], "backup.unreachable"),
    ];
    assert!(!told.concat().contains("secretword"), "{}", told.concat());
    assert_eq!(hop.json(["backup", "list", "--json"])[0]["id"], id.as_str());
    create(&hop, &["-a", "shop"]);

    let (server, _) = place(&kept, Some(&port));
    hop.hop3(["backup", "verify", &id]).expect_ok();
    create(&hop, &["-a", "shop", "--to", "far"]);
    // Another name for the same place finds what is there.
    hop.hop3(["backup", "targets", "remove", "far"]).expect_ok();
    hop.hop3(["backup", "targets", "add", "again", &location]).expect_ok();
    let found = hop.json(["backup", "list", "--json"]);
    let found = found.as_array().unwrap().iter().filter(|one| one["target"] == "again").count();
    assert_eq!(found, 2);
    hop.hop3(["backup", "verify", &id]).expect_ok();
    end(server);
}
