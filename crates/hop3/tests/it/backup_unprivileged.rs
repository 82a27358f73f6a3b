// SPDX-License-Identifier: Apache-2.0
//! Backups of a server that is nobody in particular: no role is root, all apps and addons are the same user.

use crate::backup::{create, data, has_restic};
use crate::backup_proof::refused;
use crate::backup_server::rebuild;
use crate::harness::{Hop, skip, until};
use crate::probe;
use std::fs;

#[test]
fn backups_need_no_root() {
    let test = "backups_need_no_root";
    if !has_restic(test) {
        return;
    }
    let mut hop = Hop::start_unprivileged();
    hop.push("shop", &probe::with_procfile(&hop, "shop", "web: perl server.pl\n"));
    let inside = |hop: &Hop, app: &str, script: &str| probe::inside(hop, app, script);
    assert_ne!(inside(&hop, "shop", "id -u"), "0\n");
    inside(
        &hop,
        "shop",
        "cd $HOP3_DATA_DIR && echo first > note && chmod 600 note && mkdir shut && chmod 500 shut",
    );
    let has_database = std::path::Path::new("/usr/lib/postgresql").exists();
    if has_database {
        hop.hop3(["addon", "create", "postgres", "books"]).expect_ok();
        let make = "create table book as select generate_series(1, 3) as number";
        hop.hop3(["addon", "shell", "books", "-c", make]).expect_ok();
    } else {
        skip(test, "PostgreSQL is not installed");
    }

    let id = create(&hop, &["-a", "shop"]);
    hop.hop3(["backup", "verify", &id, "--start"]).expect_ok();
    inside(&hop, "shop", "echo spoilt > $HOP3_DATA_DIR/note");
    hop.hop3(["backup", "restore", &id, "--path", "note"]).expect_ok();
    assert_eq!(inside(&hop, "shop", "cat $HOP3_DATA_DIR/note"), "first\n");
    inside(&hop, "shop", "echo spoilt > $HOP3_DATA_DIR/note");
    hop.hop3(["backup", "restore", &id]).expect_ok();
    assert_eq!(
        inside(&hop, "shop", "cat $HOP3_DATA_DIR/note; stat -c %a $HOP3_DATA_DIR/note"),
        "first\n600\n"
    );
    hop.hop3(["backup", "restore", &id, "--as", "copy"]).expect_ok();
    assert_eq!(inside(&hop, "copy", "cat $HOP3_DATA_DIR/note"), "first\n");
    if has_database {
        let made = hop.hop3(["addon", "backup", "books"]).expect_ok().text;
        let proven = hop.hop3(["backup", "verify"]).expect_ok().text;
        assert!(proven.contains("books: 1 table, 3 rows, as saved"), "{made}{proven}");
    }

    // A place that this user may not write to is refused with what to do.
    let shut = hop.scratch().join("shut");
    fs::create_dir(&shut).unwrap();
    if rustix::process::geteuid().is_root() {
        let place = shut.join("place");
        let said = refused(
            &hop,
            &["backup", "targets", "add", "disk", place.to_str().unwrap()],
            "backup.no-directory",
        );
        assert!(said.contains("choose a directory that the server's user may write to"), "{said}");
    }

    // All of it is gone, and comes back by the same user's hand.
    let whole = create(&hop, &["--server"]);
    hop.hop3(["backup", "verify", &whole]).expect_ok();
    let key = hop.hop3(["backup", "key"]).expect_ok().stdout;
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    let lost = hop.scratch().join("lost");
    fs::rename(hop.root(), &lost).unwrap();
    rebuild(&hop, &lost.join("backups/repository"), &hop.root(), &key).expect_ok();
    hop.boot();
    until("the app answers", || hop.get("shop", "/").status == 200);
    assert_eq!(inside(&hop, "shop", "cat $HOP3_DATA_DIR/note"), "first\n");
    assert!(data(&hop, "copy").join("note").exists());
    if has_database {
        let count = ["addon", "shell", "books", "-A", "-t", "-c", "select count(*) from book"];
        assert!(hop.hop3(count).expect_ok().stdout.starts_with("3\n"));
    }
}
