// SPDX-License-Identifier: Apache-2.0
//! Backups of an app: made, listed, and restored in place, as a copy, one file; with restic alone too.

use crate::harness::{Hop, skip};
use crate::probe;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tells whether restic is there.
pub(crate) fn has_restic(name: &str) -> bool {
    let found = Command::new("restic").arg("version").output().is_ok_and(|output| output.status.success());
    if !found {
        skip(name, "restic is not there");
    }
    found
}

/// The id of a backup that is made now.
pub(crate) fn create(hop: &Hop, arguments: &[&str]) -> String {
    let made =
        hop.hop3(["backup", "create", "--json"].into_iter().chain(arguments.iter().copied())).expect_ok();
    let last = made.stdout.lines().last().unwrap_or_default();
    let news: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {}", made.text));
    news["backups"][0]["id"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned()
}

pub(crate) fn data(hop: &Hop, app: &str) -> PathBuf {
    hop.root().join("apps").join(app).join("data")
}

/// restic by itself, with nothing of Hop3 but the recovery key.
pub(crate) fn restic(hop: &Hop, repository: &Path, arguments: &[&str]) -> crate::harness::Said {
    let key = hop.hop3(["backup", "key"]).expect_ok().stdout.trim().to_owned();
    let mut restic = Command::new("restic");
    restic.args(arguments).arg("--no-cache").env("RESTIC_REPOSITORY", repository).env("RESTIC_PASSWORD", key);
    hop.said(&mut restic)
}

#[test]
fn what_an_app_had_comes_back() {
    if !has_restic("what_an_app_had_comes_back") {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &probe::with_procfile(&hop, "shop", "web: perl server.pl\n"));
    hop.hop3(["config", "set", "-a", "shop", "GREETING=hello"]).expect_ok();
    let inside = |script: &str| probe::inside(&hop, "shop", script);
    inside(
        "cd $HOP3_DATA_DIR && echo first > note && mkdir -p deep && echo two > deep/file && chmod 600 note",
    );
    let id = create(&hop, &["-a", "shop"]);
    let listed = hop.json(["backup", "list", "--json"]);
    assert_eq!(listed[0]["id"], id.as_str());
    assert_eq!(listed[0]["app"], "shop");
    let told = hop.json(["backup", "info", &id, "--json"]);
    assert_eq!(told["apps"][0]["parts"], serde_json::json!(["data", "repo", "release"]));
    assert_eq!(told["apps"][0]["config_keys"], serde_json::json!(["GREETING"]));

    inside("cd $HOP3_DATA_DIR && echo spoilt > note && rm -r deep && echo new > later");
    hop.hop3(["config", "set", "-a", "shop", "GREETING=goodbye"]).expect_ok();
    hop.hop3(["backup", "restore", &id]).expect_ok();
    let spoilt = hop.json(["backup", "list", "--json"])[0]["id"].as_str().unwrap().to_owned();
    assert_ne!(spoilt, id, "what was there is kept first");
    let restored = "cd $HOP3_DATA_DIR && cat note deep/file && ls && echo $GREETING && stat -c '%U %a' note";
    let text = inside(restored);
    assert_eq!(text, "first\ntwo\ndeep\nnote\nhello\nshop 600\n");
    hop.hop3(["backup", "restore", &spoilt]).expect_ok();
    assert_eq!(
        inside("cat $HOP3_DATA_DIR/note $HOP3_DATA_DIR/later; echo $GREETING"),
        "spoilt\nnew\ngoodbye\n"
    );
    inside("echo writable > $HOP3_DATA_DIR/note");
    assert_eq!(std::fs::read_to_string(data(&hop, "shop").join("note")).unwrap(), "writable\n");
}

#[test]
fn a_copy_or_one_file_comes_beside_what_runs() {
    if !has_restic("a_copy_or_one_file_comes_beside_what_runs") {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &probe::with_procfile(&hop, "shop", "web: perl server.pl\n"));
    let inside = |script: &str| probe::inside(&hop, "shop", script);
    inside("cd $HOP3_DATA_DIR && mkdir 'odd [*]' && echo old > 'odd [*]/file?' && echo old > other");
    let id = create(&hop, &["-a", "shop"]);
    inside("cd $HOP3_DATA_DIR && echo new > 'odd [*]/file?' && echo new > other");

    hop.hop3(["backup", "restore", &id, "--path", "odd [*]/file?"]).expect_ok();
    let text = inside("cd $HOP3_DATA_DIR && cat 'odd [*]/file?' other && echo mine > 'odd [*]/file?'");
    assert_eq!(text, "old\nnew\n");
    for (path, code) in
        [("none", "backup.no-file"), ("../x", "backup.bad-path"), ("/etc/passwd", "backup.bad-path")]
    {
        let refused = hop.hop3(["backup", "restore", &id, "--path", path]);
        assert!(!refused.ok && refused.text.contains(code), "{}", refused.text);
    }

    hop.hop3(["backup", "restore", &id, "--as", "copy"]).expect_ok();
    assert_eq!(probe::inside(&hop, "copy", "cat $HOP3_DATA_DIR/other"), "old\n");
    assert_eq!(inside("cat $HOP3_DATA_DIR/other"), "new\n");
    let again = hop.hop3(["backup", "restore", &id, "--as", "copy"]);
    assert!(!again.ok && again.text.contains("app.exists"), "{}", again.text);

    // The app itself may be gone.
    hop.hop3(["app", "destroy", "shop", "--confirm", "shop"]).expect_ok();
    hop.hop3(["backup", "restore", &id]).expect_ok();
    assert_eq!(inside("cat $HOP3_DATA_DIR/other"), "old\n");
    hop.hop3(["app", "destroy", "copy", "--confirm", "copy"]).expect_ok();
    assert_eq!(inside("echo still there"), "still there\n");
}

#[test]
fn restic_alone_gives_everything_back() {
    if !has_restic("restic_alone_gives_everything_back") {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &probe::with_procfile(&hop, "shop", "web: perl server.pl\n"));
    probe::inside(&hop, "shop", "echo kept > $HOP3_DATA_DIR/note");
    let id = create(&hop, &["-a", "shop"]);
    let repository = hop.root().join("backups/repository");
    restic(&hop, &repository, &["check", "--read-data"]).expect_ok();
    let to = hop.scratch().join("by-hand");
    let target = to.to_str().unwrap();
    let tag = format!("backup={id},part=data");
    restic(&hop, &repository, &["restore", "latest", "--tag", &tag, "--target", target]).expect_ok();
    assert_eq!(std::fs::read_to_string(to.join("apps/shop/data/note")).unwrap(), "kept\n");
    assert!(to.join("apps/shop/repo.git/HEAD").exists());
    let tag = format!("backup={id},part=manifest");
    let manifest = restic(&hop, &repository, &["dump", "latest", "manifest.json", "--tag", &tag]).expect_ok();
    let manifest: Value = serde_json::from_str(&manifest.stdout).unwrap();
    assert_eq!(manifest["apps"][0]["name"], "shop");
}

#[test]
fn a_backup_is_proven_by_restoring_it_elsewhere() {
    if !has_restic("a_backup_is_proven_by_restoring_it_elsewhere") {
        return;
    }
    let hop = Hop::start();
    let tree = probe::tree(
        &hop,
        "shop",
        &[(
            "hop3.toml",
            "[backup]\nbefore = \"date > $HOP3_DATA_DIR/dump\"\nafter = \"rm $HOP3_DATA_DIR/dump\"\nexclude = [\"cache\", \"*.tmp\"]\n",
        )],
    );
    let tree = probe::with_procfile_in(&tree, "web: perl server.pl\n");
    hop.push("shop", &tree);
    let inside = |script: &str| probe::inside(&hop, "shop", script);
    inside("cd $HOP3_DATA_DIR && mkdir cache && touch cache/x a.tmp kept && ln -s kept link && mkfifo pipe");
    let id = create(&hop, &["-a", "shop"]);
    assert_eq!(hop.json(["backup", "list", "--json"])[0].get("proven_ms"), None);
    hop.hop3(["backup", "verify"]).expect_ok();
    let proven = hop.json(["backup", "list", "--json"])[0].clone();
    assert!(
        proven["proven_ms"].as_u64().is_some() && proven["digest"].as_str().unwrap().len() == 64,
        "{proven}"
    );
    hop.hop3(["backup", "verify", &id]).expect_ok();
    assert_eq!(hop.json(["backup", "list", "--json"])[0]["digest"], proven["digest"]);
    assert!(!hop.root().join("backups/staging").read_dir().unwrap().any(|_| true), "nothing is left of it");

    assert_eq!(inside("ls $HOP3_DATA_DIR"), "a.tmp\ncache\nkept\nlink\npipe\n");
    hop.hop3(["backup", "restore", &id, "--as", "copy"]).expect_ok();
    assert_eq!(probe::inside(&hop, "copy", "ls $HOP3_DATA_DIR"), "dump\nkept\nlink\npipe\n");
    let refused = hop.hop3(["backup", "verify", "20200101-000000-0000"]);
    assert!(!refused.ok && refused.text.contains("backup.unknown"), "{}", refused.text);
}

#[test]
fn old_backups_go_and_schedules_are_kept() {
    if !has_restic("old_backups_go_and_schedules_are_kept") {
        return;
    }
    let hop = Hop::start();
    hop.hop3(["app", "create", "shop"]).expect_ok();
    hop.hop3(["app", "create", "blog"]).expect_ok();
    let ids: Vec<String> = (0..3).map(|_| create(&hop, &["-a", "shop"])).collect();
    let other = create(&hop, &["-a", "blog"]);
    hop.hop3(["backup", "prune", "-a", "shop", "--keep-last", "2"]).expect_ok();
    let left = || {
        let list = hop.json(["backup", "list", "--json"]);
        list.as_array().unwrap().iter().map(|b| b["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(left(), [&other, &ids[2], &ids[1]].map(Clone::clone));
    let repository = hop.root().join("backups/repository");
    let snapshots = restic(&hop, &repository, &["snapshots", "--json"]).expect_ok();
    let snapshots: Value = serde_json::from_str(&snapshots.stdout).unwrap();
    assert_eq!(snapshots.as_array().unwrap().len(), 6);

    let schedule = ["backup", "schedule", "--server", "--at", "0 3 * * *", "--keep-daily", "3", "--json"];
    let set = hop.json(schedule);
    assert_eq!(set["keep"]["daily"], 3);
    assert_eq!(hop.json(["backup", "schedule", "--json"]).as_array().unwrap().len(), 1);
    let refused = hop.hop3(["backup", "schedule", "-a", "shop", "--at", "61 * * * *"]);
    assert!(!refused.ok, "{}", refused.text);
    hop.hop3(["backup", "schedule", "-a", "blog", "--at", "0 4 * * *"]).expect_ok();
    hop.hop3(["app", "rename", "blog", "diary"]).expect_ok();
    assert_eq!(hop.json(["backup", "schedule", "--json"])[1]["app"], "diary");
    hop.hop3(["app", "destroy", "diary", "--confirm", "diary"]).expect_ok();
    hop.hop3(["backup", "schedule", "--server", "--off"]).expect_ok();
    assert_eq!(hop.json(["backup", "schedule", "--json"]).as_array().unwrap().len(), 0);
}

#[test]
fn a_restore_that_the_server_left_half_way_loses_nothing() {
    let mut hop = Hop::start();
    hop.push("shop", &probe::with_procfile(&hop, "shop", "web: perl server.pl\n"));
    probe::inside(&hop, "shop", "echo kept > $HOP3_DATA_DIR/note");
    hop.hop3(["server", "stop"]).expect_ok();
    let (data, beside) = (data(&hop, "shop"), data(&hop, "shop").with_extension("before-restore"));
    std::fs::rename(&data, &beside).unwrap();
    let staged = hop.root().join("backups/staging/restore-x");
    std::fs::create_dir_all(&staged).unwrap();
    hop.boot();
    assert_eq!(std::fs::read_to_string(data.join("note")).unwrap(), "kept\n");
    assert!(!beside.exists() && !staged.exists());
}

#[test]
fn volumes_come_back_and_a_copy_has_its_own() {
    if !has_restic("volumes_come_back_and_a_copy_has_its_own") {
        return;
    }
    let hop = Hop::start();
    let files = [("hop3.toml", "[[volumes]]\nname = \"files\"\ntarget = \"uploads\"\n")];
    let tree = probe::with_procfile_in(&probe::tree(&hop, "shop", &files), "web: perl server.pl\n");
    hop.push("shop", &tree);
    let inside = |app: &str, script: &str| probe::inside(&hop, app, script);
    inside("shop", "echo first > uploads/one");
    let id = create(&hop, &["-a", "shop"]);
    let told = hop.json(["backup", "info", &id, "--json"]);
    assert!(told["apps"][0]["parts"].as_array().unwrap().contains(&"volume:shop-files".into()), "{told}");
    inside("shop", "echo second > uploads/one");
    hop.hop3(["backup", "restore", &id, "--as", "copy"]).expect_ok();
    assert_eq!(inside("copy", "cat uploads/one; echo mine > uploads/one"), "first\n");
    assert_eq!(inside("shop", "cat uploads/one"), "second\n");
    hop.hop3(["backup", "restore", &id]).expect_ok();
    assert_eq!(inside("shop", "cat uploads/one; echo third > uploads/one"), "first\n");
    hop.hop3(["backup", "verify"]).expect_ok();
}
