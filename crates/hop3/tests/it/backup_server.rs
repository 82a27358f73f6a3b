// SPDX-License-Identifier: Apache-2.0
//! The disaster: a server is gone with all it had, and comes back on an empty root from its backup and the recovery key
//! alone.

use crate::backup::{create, has_restic};
use crate::harness::{Hop, Said, example, until};
use crate::probe;
use std::path::Path;
use std::time::Instant;

/// Rebuilds a root from a directory of backups.
pub(crate) fn rebuild(hop: &Hop, from: &Path, root: &Path, key: &str) -> Said {
    let arguments = ["backup", "restore", "--server", "--from", from.to_str().unwrap(), "--root"];
    let mut command = hop.command(arguments);
    command.arg(root).env("HOP3_RECOVERY_KEY", key).env_remove("HOP3_ROOT");
    hop.said(&mut command)
}

#[test]
fn a_server_that_is_gone_comes_back_from_its_backup() {
    if !has_restic("a_server_that_is_gone_comes_back_from_its_backup") {
        return;
    }
    let mut hop = Hop::start();
    hop.push("site", &example("apps/static-hello"));
    for app in ["shop", "blog"] {
        hop.push(app, &probe::with_procfile(&hop, app, "web: perl server.pl\n"));
        probe::inside(&hop, app, &format!("cd $HOP3_DATA_DIR && echo of-{app} > note && chmod 600 note"));
    }
    hop.hop3(["config", "set", "-a", "shop", "GREETING=hello"]).expect_ok();
    hop.hop3(["domain", "add", "shop.example.org", "-a", "shop"]).expect_ok();
    let place = hop.scratch().join("elsewhere");
    hop.hop3(["backup", "targets", "add", "disk", place.to_str().unwrap()]).expect_ok();
    hop.hop3(["backup", "schedule", "--server", "--at", "0 3 * * *", "--to", "disk"]).expect_ok();
    let id = create(&hop, &["--server", "--to", "disk"]);
    hop.hop3(["backup", "verify", &id]).expect_ok();
    let key = hop.hop3(["backup", "key"]).expect_ok().stdout;
    let before = hop.json(["app", "info", "shop", "--json"]);

    hop.hop3(["server", "stop", "--all"]).expect_ok();
    let root = hop.root();
    let lost = hop.scratch().join("lost");
    std::fs::rename(&root, &lost).unwrap();
    let wrong = rebuild(&hop, &place, &root, "wrong-key");
    assert!(!wrong.ok && wrong.text.contains("backup.wrong-key"), "{}", wrong.text);
    let absent = rebuild(&hop, &hop.scratch().join("nothing"), &root, &key);
    assert!(!absent.ok && absent.text.contains("backup.no-repository"), "{}", absent.text);

    let began = Instant::now();
    let back = rebuild(&hop, &place, &root, &key).expect_ok();
    println!("rebuilt in {:?}: {}", began.elapsed(), back.text);
    assert!(rebuild(&hop, &place, &root, &key).text.contains("backup.not-empty"));
    hop.boot();
    for app in ["site", "shop", "blog"] {
        until(&format!("{app} answers"), || hop.get(app, "/").status == 200);
    }
    println!("answering after {:?}", began.elapsed());
    assert!(hop.get("site", "/").text().contains("Hello World!"));
    for app in ["shop", "blog"] {
        assert_eq!(probe::inside(&hop, app, "cat $HOP3_DATA_DIR/note"), format!("of-{app}\n"));
    }
    assert_eq!(probe::inside(&hop, "shop", "echo $GREETING; echo more > $HOP3_DATA_DIR/more"), "hello\n");
    let after = hop.json(["app", "info", "shop", "--json"]);
    for same in ["release", "domains", "scale", "created_ms"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    // Whoever could come in can, and the next push goes on from there.
    assert_eq!(hop.api("GET", "/api/apps", "").status, 200);
    hop.push("shop-again", &probe::with_procfile(&hop, "shop-again", "web: perl server.pl\n"));
    assert_eq!(hop.json(["backup", "schedule", "--json"])[0]["target"], "disk");
    let listed = hop.json(["backup", "list", "--json"]);
    assert_eq!(listed[0]["id"], id.as_str(), "it is known, though it was made after the copy of the store");
    assert_eq!(hop.hop3(["backup", "key"]).expect_ok().stdout, key);
    create(&hop, &["--server", "--to", "disk"]);
}

#[test]
fn a_server_comes_back_at_another_place() {
    if !has_restic("a_server_comes_back_at_another_place") {
        return;
    }
    let mut hop = Hop::start();
    // What is built for it names the place it lies in.
    let flask = hop.push("app", &example("apps/python-flask-wsgi"));
    create(&hop, &["--server"]);
    let key = hop.hop3(["backup", "key"]).expect_ok().stdout;
    let answer = hop.get("app", "/").text();
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    let root = hop.scratch().join("other-root");
    let lost = hop.scratch().join("lost");
    std::fs::rename(hop.root(), &lost).unwrap();
    rebuild(&hop, &lost.join("backups/repository"), &root, &key).expect_ok();
    std::fs::rename(lost, hop.scratch().join("gone")).unwrap();
    hop.move_root("other-root");
    hop.boot();
    until("the app answers", || hop.get("app", "/").text() == answer);
    flask.commit("next");
    flask.push(&hop.remote("app"), "main").expect_ok();
}
