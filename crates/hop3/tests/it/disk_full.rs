// SPDX-License-Identifier: Apache-2.0
//! A disk that fills in the middle of each kind of work: the user reads what is wrong, what serves goes on, and once
//! there is room everything works again without a repair.

use crate::harness::{Hop, Repository, example, skip};
use crate::probe;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

pub(crate) const MIB: u64 = 1 << 20;
const DISK: u64 = 96 * MIB;

/// Set in the process that may mount.
const INSIDE: &str = "HOP3_TEST_MOUNTS";

/// A directory on a small disk that nobody else sees; nothing at the first call, which runs the test once more.
pub(crate) fn small_disk(test: &str) -> Option<TempDir> {
    where_mounts_are_seen_by_nobody(test).then(|| {
        let directory = tempfile::tempdir().unwrap();
        let options = std::ffi::CString::new(format!("size={DISK},mode=755")).unwrap();
        mount("hop3-test", directory.path(), "tmpfs", MountFlags::empty(), options.as_c_str()).unwrap();
        directory
    })
}

/// The first call runs the test once more, in a mount namespace of its own, and gives false.
pub(crate) fn where_mounts_are_seen_by_nobody(test: &str) -> bool {
    let is_inside = std::env::var_os(INSIDE).is_some();
    if !is_inside {
        in_a_namespace(test);
    }
    is_inside
}

fn in_a_namespace(test: &str) {
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "private"]);
        unshare
    };
    if !unshare().arg("true").output().unwrap().status.success() {
        return skip(test, "a mount namespace needs root");
    }
    let mut again = unshare();
    again.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let output = again.env(INSIDE, "1").output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Takes all room but that much; room is given back when it is dropped.
pub(crate) struct Ballast(std::path::PathBuf);

impl Ballast {
    pub(crate) fn leave(hop: &Hop, room: u64) -> Ballast {
        let path = hop.scratch().join("ballast");
        let file = std::fs::File::create(&path).unwrap();
        // What was free a moment ago may not be: the server writes its log and its database meanwhile.
        while let size @ 1.. = free(hop).saturating_sub(room) {
            match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size) {
                Err(Errno::NOSPC) => {}
                taken => {
                    taken.unwrap();
                    break;
                }
            }
        }
        Ballast(path)
    }
}

fn free(hop: &Hop) -> u64 {
    let disk = rustix::fs::statvfs(hop.scratch()).unwrap();
    disk.f_bavail * disk.f_frsize
}

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// Bytes that nothing makes smaller.
pub(crate) fn noise(path: &Path, size: u64) {
    let random = std::fs::File::open("/dev/urandom").unwrap();
    let mut file = std::fs::File::create(path).unwrap();
    std::io::copy(&mut std::io::Read::take(random, size), &mut file).unwrap();
    file.flush().unwrap();
}

/// Everything of Hop3 that is on the disk, but for logs and the database, which may grow.
fn places(hop: &Hop) -> Vec<String> {
    let root = hop.root();
    let listed = ["artifacts", "layers", "apps/site/repo.git/objects", "run/server"].map(|place| {
        let entries = std::fs::read_dir(root.join(place)).into_iter().flatten().flatten();
        entries.map(move |entry| format!("{place}/{}", entry.file_name().display())).collect::<Vec<_>>()
    });
    let mut listed = listed.concat();
    listed.sort();
    listed
}

#[track_caller]
fn assert_told(what: &str, ok: bool, text: &str) {
    assert!(!ok && text.contains("server.disk-full"), "{what}: {text}");
    assert!(text.contains("make room"), "{what} has no hint: {text}");
    assert!(!text.contains("internal"), "{what}: {text}");
}

fn change(repository: &Repository, size: u64) {
    noise(&repository.path.join("noise"), size);
    repository.commit("noise");
}

#[test]
fn a_full_disk_is_told_and_survived() {
    let Some(directory) = small_disk("disk_full::a_full_disk_is_told_and_survived") else { return };
    // The work trees lie elsewhere: it is the server's disk that fills.
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let hop = Hop::start_in(directory);
    let repository = hop.repository_in(&elsewhere.path().join("site"), &example("apps/static-hello"));
    repository.push(&hop.remote("site"), "main").expect_ok();
    let app = probe::with_procfile(
        &hop,
        "app",
        "web: perl server.pl
build: head -c $(cat size) /dev/zero > big
",
    );
    std::fs::write(app.join("size"), "1000").unwrap();
    hop.push("app", &app);
    let before = places(&hop);
    let serves = |what: &str| {
        assert!(hop.get("site", "/").text().contains("Hello World!"), "{what}");
        assert_eq!(probe::inside(&hop, "app", "echo alive"), "alive\n", "{what}");
        assert_eq!(places(&hop), before, "{what}");
    };

    {
        let _full = Ballast::leave(&hop, 0);
        repository.commit("next");
        let pushed = repository.push(&hop.remote("site"), "main");
        assert_told("a push", pushed.ok, &pushed.text);
        let deployed = hop.hop3_in(&repository.path, ["deploy", "-a", "site"]);
        assert_told("an upload", deployed.ok, &deployed.text);
        let set = hop.hop3(["config", "set", "-a", "site", "A=1"]);
        assert_told("a change of config", set.ok, &set.text);
        hop.hop3(["app", "list"]).expect_ok();
        serves("full");
    }
    change(&repository, 30 * MIB);
    {
        let _some = Ballast::leave(&hop, 20 * MIB);
        let pushed = repository.push(&hop.remote("site"), "main");
        assert!(!pushed.ok && pushed.text.contains("No space left on device"), "{}", pushed.text);
        let deployed = hop.hop3_in(&repository.path, ["deploy", "-a", "site"]);
        assert_told("an upload that is larger than the room", deployed.ok, &deployed.text);
        serves("filled by a pack and an upload");
    }
    {
        // The upload fits once, and not a second time when it is unpacked.
        let _some = Ballast::leave(&hop, 45 * MIB);
        let deployed = hop.hop3_in(&repository.path, ["deploy", "-a", "site"]);
        assert_told("an upload that does not fit unpacked", deployed.ok, &deployed.text);
        serves("filled by a checkout");
    }
    {
        let _some = Ballast::leave(&hop, 30 * MIB);
        std::fs::write(app.join("size"), "100000000").unwrap();
        let deployed = hop.hop3_in(&app, ["deploy", "-a", "app"]);
        assert!(!deployed.ok && deployed.text.contains("No space left on device"), "{}", deployed.text);
        serves("filled by a build");
    }

    repository.push(&hop.remote("site"), "main").expect_ok();
    assert_eq!(hop.get("site", "/noise").body.len() as u64, 30 * MIB);
    hop.hop3(["config", "set", "-a", "site", "A=1"]).expect_ok();
    std::fs::write(app.join("size"), "1000").unwrap();
    hop.hop3_in(&app, ["deploy", "-a", "app"]).expect_ok();
    assert_eq!(hop.json(["app", "info", "app", "--json"])["state"], "running");
}
