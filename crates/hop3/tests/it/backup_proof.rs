// SPDX-License-Identifier: Apache-2.0
//! What a proof finds: rows that are not there any more, an app that does not start. And that it leaves nothing.

use crate::addon::{can_run, rows};
use crate::backup::{create, data, has_restic, restic};
use crate::harness::{Hop, fixture, until};
use crate::probe;
use serde_json::Value;
use std::fs;
use std::path::Path;

#[track_caller]
pub(crate) fn refused(hop: &Hop, arguments: &[&str], code: &str) -> String {
    let said = hop.hop3(arguments);
    assert!(!said.ok && said.text.contains(&format!("error[{code}]")), "{code}: {}", said.text);
    said.text
}

/// Nothing of a proof is left: no app, no addon, no volume, no file.
#[track_caller]
fn expect_clean(hop: &Hop) {
    for list in ["app", "addon", "storage"] {
        let left = hop.json([list, "list", "--json"]);
        let left: Vec<&Value> = left
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["name"].to_string().contains("scratch"))
            .collect();
        assert!(left.is_empty(), "{list}: {left:?}");
    }
    let staging = hop.root().join("backups/staging");
    let left: Vec<_> = staging.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
    let apps = fs::read_dir(hop.root().join("apps")).unwrap().flatten();
    let left: Vec<_> = apps.filter(|app| app.file_name().to_string_lossy().contains("scratch")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Snapshots of the repository that have all of these tags.
fn snapshots(hop: &Hop, repository: &Path, tags: &str) -> Vec<Value> {
    let told = restic(hop, repository, &["snapshots", "--json", "--tag", tags]).expect_ok();
    serde_json::from_str(&told.stdout).unwrap()
}

/// Puts other bytes in the place of what an addon gave: nothing but the count tells.
fn falsify(hop: &Hop, id: &str, addon: &str, bytes: &Path) {
    let repository = hop.root().join("backups/repository");
    let only = |part: &str| {
        let found = snapshots(hop, &repository, &format!("backup={id},part={part}"));
        assert_eq!(found.len(), 1, "{part}");
        found[0].clone()
    };
    let tagged = |snapshot: &Value| {
        let tags = snapshot["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap());
        tags.collect::<Vec<_>>().join(",")
    };
    let save = |name: &str, tags: &str, from: &Path| {
        let key = hop.hop3(["backup", "key"]).expect_ok().stdout.trim().to_owned();
        let mut restic = std::process::Command::new("restic");
        restic.args([
            "backup",
            "--json",
            "--host",
            "hop3",
            "--no-cache",
            "--stdin",
            "--stdin-filename",
            name,
        ]);
        restic.args(["--tag", tags]).stdin(fs::File::open(from).unwrap());
        restic.env("RESTIC_REPOSITORY", &repository).env("RESTIC_PASSWORD", key);
        let said = hop.said(&mut restic).expect_ok();
        let summary: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
        summary["snapshot_id"].as_str().unwrap().to_owned()
    };
    let (stream, manifest) = (only(&format!("addon:{addon}")), only("manifest"));
    let name = format!("addon-{addon}");
    let other = save(&name, &tagged(&stream), bytes);
    let was = manifest["id"].as_str().unwrap();
    let text = restic(hop, &repository, &["dump", was, "manifest.json"]).expect_ok().stdout;
    let mut text: Value = serde_json::from_str(&text).unwrap();
    let streams = text["streams"].as_array_mut().unwrap();
    streams.iter_mut().find(|stream| stream["name"] == addon).unwrap()["snapshot"] = other.into();
    let file = hop.scratch().join("manifest");
    fs::write(&file, text.to_string()).unwrap();
    save("manifest.json", &tagged(&manifest), &file);
    restic(hop, &repository, &["forget", was]).expect_ok();
    // The server learns of it as of any place that has backups already.
    hop.hop3(["backup", "targets", "remove", "local"]).expect_ok();
    hop.hop3(["backup", "targets", "add", "local", repository.to_str().unwrap()]).expect_ok();
}

fn shell(hop: &Hop, addon: &str, arguments: &[&str]) {
    hop.hop3(["addon", "shell", addon].iter().chain(arguments)).expect_ok();
}

type Words = &'static [&'static str];
type Database = (&'static str, &'static [Words], &'static str, Words);

/// Databases with something in them, the number of what is lost, and how to lose it.
const KINDS: [Database; 3] = [
    (
        "postgres",
        &[&[
            "-c",
            "create table book as select generate_series(1, 1200) as number; create schema other; create table other.\"od|d\" (a int)",
        ]],
        "table book: 1,200 rows were saved, 1,199 are in what was restored",
        &["-c", "delete from book where number = 7"],
    ),
    (
        "mysql",
        &[&[
            "-e",
            "create table book (number int, title text); insert into book values (1, 'a),(b'), (2, 'it''s'), (3, null); create table empty (a int)",
        ]],
        "table book: 3 rows were saved, 2 are in what was restored",
        &["-e", "delete from book where number = 2"],
    ),
    (
        "redis",
        &[&["mset", "a", "1", "b", "2", "c", "3"], &["set", "soon", "gone", "px", "1"]],
        "database 0: 3 keys were saved, 2 are in what was restored",
        &["del", "b"],
    ),
];

#[test]
fn a_proof_counts_what_addons_hold_and_finds_what_is_missing() {
    let test = "a_proof_counts_what_addons_hold_and_finds_what_is_missing";
    if !can_run(test) || !has_restic(test) {
        return;
    }
    let hop = Hop::start();
    let there = hop.json(["addon", "kinds", "--json"]);
    let has = |kind: &str| {
        let of = there.as_array().unwrap().iter().find(|one| one["kind"] == kind).unwrap();
        !of["versions"].as_array().unwrap().is_empty()
    };
    for (kind, filled, lost, lose) in KINDS.iter().filter(|(kind, ..)| has(kind)) {
        let name = format!("one-{kind}");
        hop.hop3(["addon", "create", kind, &name]).expect_ok();
        filled.iter().for_each(|arguments| shell(&hop, &name, arguments));
        let said = hop.hop3(["addon", "backup", &name, "--json"]).expect_ok();
        let news: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
        let id = news["backups"][0]["id"].as_str().unwrap().to_owned();
        let told = hop.json(["backup", "info", &id, "--json"])["addons"][0].clone();
        let expected = match *kind {
            "postgres" => "2 tables, 1,200 rows",
            "mysql" => "2 tables, 3 rows",
            _ => "3 lasting keys",
        };
        assert_eq!(told["holds"], expected, "{told}");
        let shown = hop.hop3(["backup", "info", &id]).expect_ok().stdout;
        assert!(shown.contains(&format!("{name}: {expected}\n")), "{shown}");
        let proven = hop.hop3(["backup", "verify", &id]).expect_ok().text;
        assert!(proven.contains(&format!("{name}: {expected}, as saved")), "{proven}");

        shell(&hop, &name, lose);
        let other = hop.scratch().join(&name);
        hop.hop3(["addon", "export", &name, other.to_str().unwrap()]).expect_ok();
        falsify(&hop, &id, &name, &other);
        let found = refused(&hop, &["backup", "verify", &id], "backup.differs");
        assert!(found.contains(lost), "{found}");
        let listed = hop.hop3(["backup", "list"]).expect_ok().stdout;
        assert!(listed.contains("FAILED: what was restored is not what was saved"), "{listed}");
        expect_clean(&hop);
    }
}

#[test]
fn a_manifest_of_before_has_no_counts_and_is_read() {
    let test = "a_manifest_of_before_has_no_counts_and_is_read";
    if !can_run(test) || !has_restic(test) {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &fixture("database"));
    rows(&hop, "shop", "create table book (title text)");
    let id = create(&hop, &["-a", "shop"]);
    let repository = hop.root().join("backups/repository");
    let manifest = &snapshots(&hop, &repository, &format!("backup={id},part=manifest"))[0];
    let was = manifest["id"].as_str().unwrap();
    let text = restic(&hop, &repository, &["dump", was, "manifest.json"]).expect_ok().stdout;
    let mut before: Value = serde_json::from_str(&text).unwrap();
    assert!(before["streams"][0].as_object_mut().unwrap().remove("held").is_some(), "{text}");
    let tags = manifest["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap());
    let tags = tags.collect::<Vec<_>>().join(",");
    let file = hop.scratch().join("manifest");
    fs::write(&file, before.to_string()).unwrap();
    let key = hop.hop3(["backup", "key"]).expect_ok().stdout.trim().to_owned();
    let mut command = std::process::Command::new("restic");
    command.args(["backup", "--no-cache", "--stdin", "--stdin-filename", "manifest.json", "--tag", &tags]);
    command.stdin(fs::File::open(&file).unwrap());
    command.env("RESTIC_REPOSITORY", &repository).env("RESTIC_PASSWORD", key);
    hop.said(&mut command).expect_ok();
    restic(&hop, &repository, &["forget", was]).expect_ok();
    hop.hop3(["backup", "targets", "remove", "local"]).expect_ok();
    hop.hop3(["backup", "targets", "add", "local", repository.to_str().unwrap()]).expect_ok();
    let told = hop.json(["backup", "info", &id, "--json"])["addons"][0].clone();
    assert!(told.get("rows").is_none() && told["bytes"].as_u64().unwrap() > 0, "{told}");
    hop.hop3(["backup", "verify", &id]).expect_ok();
    hop.hop3(["backup", "restore", &id, "--as", "copy"]).expect_ok();
}

/// A probe that does not start once there is a file `broken` in its data, and in a proof never answers while there is a
/// file `slow`.
const WEB: &str = "web: if test -f $HOP3_DATA_DIR/broken; then echo \"a proof: $HOP3_PROOF\"; exit 3; fi; \
    if test -n \"$HOP3_PROOF\" && test -f $HOP3_DATA_DIR/slow; then exec tail -f /dev/null; fi; exec perl server.pl\n\
    worker: if test -n \"$HOP3_PROOF\"; then touch $HOP3_DATA_DIR/broken; fi; exec tail -f /dev/null\n";

#[test]
fn a_proof_starts_a_copy_where_that_is_wanted() {
    let test = "a_proof_starts_a_copy_where_that_is_wanted";
    if !has_restic(test) {
        return;
    }
    let mut hop = Hop::start();
    let files = [(
        "hop3.toml",
        "[backup]\nproof-start = true\n[healthcheck]\npath = \"/\"\n[[volumes]]\nname = \"files\"\ntarget = \"uploads\"\n",
    )];
    hop.push("shop", &probe::with_procfile_in(&probe::tree(&hop, "shop", &files), WEB));
    let whole = create(&hop, &["-a", "shop"]);
    let proven = hop.hop3(["backup", "verify", &whole]).expect_ok().text;
    assert!(proven.contains("shop: its copy started and was healthy"), "{proven}");
    expect_clean(&hop);
    let proven = hop.hop3(["backup", "verify", &whole, "--no-start"]).expect_ok().text;
    assert!(!proven.contains("its copy"), "{proven}");

    // What is saved is as it is, and an app cannot start on it.
    probe::inside(&hop, "shop", "touch $HOP3_DATA_DIR/broken");
    let broken = create(&hop, &["-a", "shop"]);
    let found = refused(&hop, &["backup", "verify", &broken], "backup.copy-not-started");
    assert!(found.contains("all of shop is there") && found.contains("a proof: yes"), "{found}");
    expect_clean(&hop);
    let listed = hop.hop3(["backup", "list"]).expect_ok().stdout;
    assert!(listed.contains("FAILED: all of shop is there, but a copy of it does not start"), "{listed}");
    hop.hop3(["backup", "verify", &broken, "--no-start"]).expect_ok();
    assert_eq!(probe::inside(&hop, "shop", "rm $HOP3_DATA_DIR/broken; ls $HOP3_DATA_DIR"), "");

    // The server dies in the middle of it: the next one removes what is left.
    probe::inside(&hop, "shop", "touch $HOP3_DATA_DIR/slow");
    let slow = create(&hop, &["-a", "shop"]);
    let mut asked = hop.begin(hop.scratch(), ["backup", "verify", &slow]);
    let is_up = |hop: &Hop| {
        let apps = hop.json(["app", "list", "--json"]);
        let scratch = apps.as_array().unwrap().iter().find_map(|app| {
            app["name"].as_str().filter(|name| name.starts_with("scratch")).map(str::to_owned)
        });
        scratch.is_some_and(|name| !hop.instances(&name).is_empty())
    };
    until("the copy is started", || is_up(&hop));
    // Whatever is backed up meanwhile is the server's own.
    let server = create(&hop, &["--server"]);
    let told = hop.json(["backup", "info", &server, "--json"]);
    assert_eq!(told["apps"].as_array().unwrap().len(), 1, "{told}");
    hop.kill("server");
    assert!(!asked.wait().unwrap().success());
    until("the server is back", || hop.hop3(["app", "list"]).ok);
    expect_clean(&hop);
    assert_eq!(probe::inside(&hop, "shop", "ls $HOP3_DATA_DIR"), "slow\n");
    hop.hop3(["server", "stop"]).expect_ok();
    hop.boot();
    expect_clean(&hop);
}

#[test]
fn a_copy_starts_on_scratch_addons() {
    let test = "a_copy_starts_on_scratch_addons";
    if !can_run(test) || !has_restic(test) {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &fixture("database"));
    rows(&hop, "shop", "create table book as select 1 as number");
    let id = create(&hop, &["--server"]);
    let without = hop.hop3(["backup", "verify", &id]).expect_ok().text;
    assert!(!without.contains("copy of"), "nobody asked for it: {without}");
    let proven = hop.hop3(["backup", "verify", &id, "--start"]).expect_ok().text;
    assert!(proven.contains("books: 1 table, 1 row, as saved"), "{proven}");
    assert!(proven.contains("shop: its copy started and was healthy"), "{proven}");
    expect_clean(&hop);
    assert_eq!(hop.json(["addon", "list", "--json"]).as_array().unwrap().len(), 1);
    // What was built comes out of the backup when it is not there any more, and goes again.
    hop.hop3(["app", "destroy", "shop", "--confirm", "shop"]).expect_ok();
    let proven = hop.hop3(["backup", "verify", &id, "--start"]).expect_ok().text;
    assert!(proven.contains("shop: its copy started and was healthy"), "{proven}");
    let left = fs::read_dir(hop.root().join("artifacts")).unwrap().count();
    assert_eq!(left, 0);
    // A file of the data alone makes no difference to what is there.
    assert!(!data(&hop, "shop").exists());
    expect_clean(&hop);
}
