// SPDX-License-Identifier: Apache-2.0
//! Volumes: attached by hand and by hop3.toml, shared, carried, and never destroyed with an app.

use crate::disk_full::{MIB, small_disk, where_mounts_are_seen_by_nobody};
use crate::harness::{Hop, skip};
use crate::probe::{self, inside};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Without users of their own apps see no mounts.
fn has_mounts(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(test, "only root can mount");
    }
    root
}

fn create(hop: &Hop, volume: &str, options: &[&str]) {
    hop.hop3(["storage", "create", volume].iter().chain(options)).expect_ok();
}

fn attach(hop: &Hop, volume: &str, app: &str, path: &str) {
    hop.hop3(["storage", "attach", volume, "-a", app, "--path", path]).expect_ok();
}

#[test]
fn a_volume_outlives_releases_and_the_app() {
    if !has_mounts("a_volume_outlives_releases_and_the_app") {
        return;
    }
    let hop = Hop::start();
    let top = format!("/hop3-test-{}", std::process::id());
    let repository = probe::push(&hop, "shop");
    create(&hop, "pictures", &[]);
    create(&hop, "ledger", &[]);
    attach(&hop, "pictures", "shop", "public/pictures");
    attach(&hop, "ledger", "shop", &format!("{top}/ledger"));
    let places = inside(&hop, "shop", "echo $HOP3_VOLUME_LEDGER; cd $HOP3_VOLUME_PICTURES && pwd");
    assert!(places.starts_with(&format!("{top}/ledger\n")) && places.ends_with("/tree/public/pictures\n"));
    inside(&hop, "shop", &format!("echo one > public/pictures/cat; echo two > {top}/ledger/book"));
    assert!(!Path::new(&top).exists(), "nothing is made on the machine itself");

    // The next release and a one-off command see the same.
    repository.commit("again");
    assert!(repository.push(&hop.remote("shop"), "main").ok);
    let look = format!("cat public/pictures/cat {top}/ledger/book; ls / | grep -c usr");
    assert_eq!(inside(&hop, "shop", &look), "one\ntwo\n1\n");
    let ran = hop.hop3(["run", "-a", "shop", "--", "cat", &format!("{top}/ledger/book")]).expect_ok();
    assert_eq!(ran.stdout, "two\n");
    // An app without a volume sees none of it.
    probe::push(&hop, "spy");
    let volumes = hop.root().canonicalize().unwrap().join("volumes");
    let spied = inside(&hop, "spy", &format!("ls {top} {}; echo $HOP3_VOLUME_LEDGER", volumes.display()));
    assert_eq!(spied.matches("No such file").count(), 2, "{spied}");

    // What is attached is not destroyed, and an app takes nothing with it.
    let refused = hop.hop3(["storage", "destroy", "ledger", "--confirm", "ledger", "--now"]);
    assert!(!refused.ok && refused.text.contains("hop3 storage detach ledger -a shop"), "{}", refused.text);
    hop.hop3(["app", "destroy", "shop", "--confirm", "shop"]).expect_ok();
    attach(&hop, "ledger", "spy", "/data");
    assert_eq!(
        inside(&hop, "spy", "cat /data/book; echo three >> /data/book; cat /data/book"),
        "two\ntwo\nthree\n"
    );
    hop.hop3(["storage", "detach", "ledger", "-a", "spy"]).expect_ok();
    assert!(inside(&hop, "spy", "cat /data/book").contains("No such file"));
}

#[test]
fn a_volume_is_destroyed_in_two_steps() {
    let hop = Hop::start();
    create(&hop, "pictures", &[]);
    let again = hop.hop3(["storage", "create", "pictures"]);
    assert!(!again.ok && again.text.contains("already"), "{}", again.text);
    let data = hop.root().join("volumes/pictures/data");
    std::fs::write(data.join("cat"), "meow").unwrap();
    let unsure = hop.hop3(["storage", "destroy", "pictures", "--confirm", "picture"]);
    assert!(!unsure.ok, "{}", unsure.text);
    hop.hop3(["storage", "destroy", "pictures", "--confirm", "pictures"]).expect_ok();
    let gone = hop.hop3(["storage", "info", "pictures"]);
    assert!(!gone.ok && gone.text.contains("hop3 storage recover pictures"), "{}", gone.text);
    let listed = hop.json(["storage", "list", "--json"]);
    assert!(listed[0]["gone_ms"].is_u64(), "{listed}");
    hop.hop3(["storage", "recover", "pictures"]).expect_ok();
    assert_eq!(std::fs::read_to_string(data.join("cat")).unwrap(), "meow");
    hop.hop3(["storage", "destroy", "pictures", "--confirm", "pictures", "--now"]).expect_ok();
    assert!(!data.parent().unwrap().exists());
    assert!(hop.json(["storage", "list", "--json"]).as_array().unwrap().is_empty());
}

#[test]
fn what_a_volume_holds_is_carried_and_a_broken_archive_changes_nothing() {
    let hop = Hop::start();
    create(&hop, "one", &[]);
    create(&hop, "two", &[]);
    let data = |volume: &str| hop.root().join("volumes").join(volume).join("data");
    std::fs::create_dir_all(data("one").join("a/b")).unwrap();
    std::fs::write(data("one").join("a/b/.hidden"), "x".repeat(100_000)).unwrap();
    std::os::unix::fs::symlink("a/b", data("one").join("-link")).unwrap();
    std::fs::write(data("two").join("old"), "old").unwrap();
    let file = hop.scratch().join("one.tar");
    hop.hop3(["storage", "export", "one"].iter().map(Path::new).chain([file.as_path()])).expect_ok();
    let import = |file: &Path| {
        let arguments = ["storage", "import", "two", "--confirm", "two"].iter().map(Path::new);
        hop.hop3(arguments.chain([file]))
    };
    // Cut in its middle: tar says so.
    let cut = hop.scratch().join("cut.tar");
    std::fs::write(&cut, &std::fs::read(&file).unwrap()[..50_000]).unwrap();
    let refused = import(&cut);
    assert!(!refused.ok && refused.text.contains("tar failed"), "{}", refused.text);
    assert_eq!(std::fs::read_to_string(data("two").join("old")).unwrap(), "old");

    import(&file).expect_ok();
    assert!(!data("two").join("old").exists());
    assert_eq!(std::fs::read(data("two").join("-link/.hidden")).unwrap().len(), 100_000);
    assert_eq!(
        std::fs::read_dir(data("two").parent().unwrap()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn the_first_app_owns_a_volume_and_others_read_it() {
    if !has_mounts("the_first_app_owns_a_volume_and_others_read_it") {
        return;
    }
    let hop = Hop::start();
    probe::push(&hop, "writer");
    probe::push(&hop, "reader");
    create(&hop, "pictures", &["--size", "100k"]);
    attach(&hop, "pictures", "writer", "/data");
    attach(&hop, "pictures", "reader", "/data");
    inside(&hop, "writer", "head -c 95000 /dev/zero > /data/cat");
    let tried = inside(&hop, "reader", "wc -c < /data/cat; echo x > /data/dog; rm /data/cat");
    assert!(tried.starts_with("95000\n") && tried.matches("Read-only").count() == 2, "{tried}");
    let taken = hop.hop3(["storage", "attach", "pictures", "-a", "reader", "--path", "/etc/x"]);
    assert!(!taken.ok && taken.text.contains("/etc belongs to the system"), "{}", taken.text);

    // More than nine tenths of its size are told.
    let info = hop.json(["storage", "info", "pictures", "--json"]);
    assert!(info["used_bytes"].as_u64().unwrap() > 92_160, "{info}");
    assert_eq!(info["apps"][0]["app"], "reader");
    assert_eq!(info["apps"][0]["owner"], false);
    for app in ["writer", "reader"] {
        let told = hop.hop3(["logs", "-a", app, "-n", "100"]).expect_ok().text;
        assert_eq!(told.matches("volume pictures holds").count(), 1, "{told}");
    }
}

#[test]
fn volumes_of_the_file_are_made_at_the_first_deployment_and_taken_up_again() {
    if !has_mounts("volumes_of_the_file_are_made_at_the_first_deployment_and_taken_up_again") {
        return;
    }
    let hop = Hop::start();
    let tree = probe::with_procfile(&hop, "shop", "web: perl server.pl\n");
    let file = |path: &str| format!("[[volumes]]\nname = \"media\"\npath = \"{path}\"\nsize = \"1g\"\n");
    std::fs::write(tree.join("hop3.toml"), file("media")).unwrap();
    let repository = hop.push("shop", &tree);
    inside(&hop, "shop", "echo kept > media/note");
    let info = hop.json(["storage", "info", "shop-media", "--json"]);
    assert_eq!(info["size_bytes"], 1 << 30, "{info}");

    // A deployment that fails takes back what it changed.
    repository.write("hop3.toml", &(file("elsewhere") + "[[volumes]]\nname = \"more\"\npath = \"more\"\n"));
    repository.write("Procfile", "web: perl server.pl\nrelease: exit 1\n");
    repository.commit("broken");
    assert!(!repository.push(&hop.remote("shop"), "main").ok);
    let listed = hop.json(["storage", "list", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["apps"][0]["path"], "media", "{listed}");

    hop.hop3(["app", "destroy", "shop", "--confirm", "shop"]).expect_ok();
    probe::push(&hop, "other");
    std::fs::write(tree.join("hop3.toml"), file("/media2")).unwrap();
    hop.hop3(["deploy".as_ref(), tree.as_os_str(), "-a".as_ref(), "shop".as_ref()]).expect_ok();
    assert_eq!(inside(&hop, "shop", "cat /media2/note; echo $HOP3_VOLUME_MEDIA"), "kept\n/media2\n");
}

/// A directory on a file system whose files can share blocks.
fn sharing_disk(test: &str) -> Option<TempDir> {
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(128 * MIB).unwrap();
    let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    if !succeeds(Command::new("mkfs.btrfs").arg("--quiet").arg(image.path())) {
        skip(test, "mkfs.btrfs is not there");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-o", "loop"]).arg(image.path()).arg(directory.path());
    assert!(succeeds(&mut mount));
    Some(directory)
}

/// Blocks that are in use on that disk, after everything was written.
fn used(disk: &Path) -> u64 {
    rustix::fs::syncfs(std::fs::File::open(disk).unwrap()).unwrap();
    let disk = rustix::fs::statvfs(disk).unwrap();
    (disk.f_blocks - disk.f_bfree) * disk.f_frsize
}

#[test]
fn a_snapshot_shares_blocks_and_brings_back_what_was_there() {
    let test = "storage::a_snapshot_shares_blocks_and_brings_back_what_was_there";
    if !where_mounts_are_seen_by_nobody(test) {
        return;
    }
    let Some(disk) = sharing_disk(test) else { return };
    let hop = Hop::start_in(disk);
    probe::push(&hop, "shop");
    create(&hop, "pictures", &[]);
    attach(&hop, "pictures", "shop", "/data");
    inside(
        &hop,
        "shop",
        "head -c 40m /dev/urandom > /data/cat; echo one > /data/note; mkdir -m 0 /data/shut",
    );
    let shut = hop.hop3(["storage", "snapshot", "pictures", "--as", "monday"]);
    assert!(!shut.ok && shut.text.contains("'data/shut': Permission denied"), "{}", shut.text);
    inside(&hop, "shop", "rmdir /data/shut");
    let (cat, before) = (inside(&hop, "shop", "sha256sum /data/cat"), used(hop.scratch()));

    let made = hop.hop3(["storage", "snapshot", "pictures", "--as", "monday"]).expect_ok();
    assert!(made.text.contains("hop3 storage restore pictures monday"), "{}", made.text);
    assert!(used(hop.scratch()) - before < 4 * MIB, "{before} {}", used(hop.scratch()));
    let again = hop.hop3(["storage", "snapshot", "pictures", "--as", "monday"]);
    assert!(!again.ok && again.text.contains("storage.snapshot-exists"), "{}", again.text);

    inside(
        &hop,
        "shop",
        "echo two > /data/note; echo new > /data/dog; dd if=/dev/zero of=/data/cat bs=1 count=9 conv=notrunc",
    );
    hop.hop3(["storage", "snapshot", "pictures"]).expect_ok();
    let info = hop.json(["storage", "info", "pictures", "--json"]);
    assert_eq!(info["snapshots"][0]["name"], "monday", "{info}");
    assert!(info["snapshots"][1]["name"].as_str().unwrap().starts_with("at-2"), "{info}");
    assert!(info["used_bytes"].as_u64().unwrap() < 42 * MIB, "what is kept beside it is not its own: {info}");
    assert!(inside(&hop, "shop", "ls -a /data /").contains("dog"), "the app goes on");

    let unsure = hop.hop3(["storage", "restore", "pictures", "monday", "--confirm", "shop"]);
    assert!(!unsure.ok, "{}", unsure.text);
    hop.hop3(["storage", "restore", "pictures", "monday", "--confirm", "pictures"]).expect_ok();
    assert_eq!(inside(&hop, "shop", "sha256sum /data/cat"), cat);
    assert_eq!(inside(&hop, "shop", "cat /data/note; ls /data | wc -l"), "one\n2\n");

    hop.hop3(["storage", "forget", "pictures", "monday"]).expect_ok();
    let gone = hop.hop3(["storage", "restore", "pictures", "monday", "--confirm", "pictures"]);
    assert!(!gone.ok && gone.text.contains("hop3 storage info pictures"), "{}", gone.text);
    assert_eq!(hop.json(["storage", "info", "pictures", "--json"])["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn where_blocks_cannot_be_shared_there_are_no_snapshots() {
    let Some(disk) = small_disk("storage::where_blocks_cannot_be_shared_there_are_no_snapshots") else {
        return;
    };
    let hop = Hop::start_in(disk);
    create(&hop, "pictures", &[]);
    let refused = hop.hop3(["storage", "snapshot", "pictures"]);
    assert!(!refused.ok && refused.text.contains("storage.no-snapshots"), "{}", refused.text);
    assert!(refused.text.contains("hop3 storage export"), "{}", refused.text);
    assert_eq!(std::fs::read_dir(hop.root().join("volumes/pictures")).unwrap().count(), 1);
}
