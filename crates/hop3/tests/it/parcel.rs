// SPDX-License-Identifier: Apache-2.0
//! An app with all it has in one file, and from one server straight to another.

use crate::addon::{ask, can_run, rows};
use crate::backup::has_restic;
use crate::harness::{Hop, fixture, until};
use std::io::Write;

/// A server with an app whose database, data directory and config have something in them.
fn with_shop(hop: &Hop) {
    hop.push("shop", &fixture("database"));
    rows(hop, "shop", "create table book as select generate_series(1, 100) as number");
    hop.hop3(["config", "set", "GREETING=hello", "-a", "shop"]).expect_ok();
    hop.hop3(["domain", "add", "shop.example.org", "-a", "shop"]).expect_ok();
    let note = "echo kept > $HOP3_DATA_DIR/note";
    hop.hop3(["run", "-a", "shop", "--", "sh", "-c", note]).expect_ok();
}

#[track_caller]
fn expect_shop(hop: &Hop, app: &str) {
    until("the app answers", || ask(hop, app, "select 1").status == 200);
    assert_eq!(rows(hop, app, "select sum(number) from book"), "5050");
    let seen = ["run", "-a", app, "--", "sh", "-c", "cat $HOP3_DATA_DIR/note; echo $GREETING"];
    assert_eq!(hop.hop3(seen).expect_ok().stdout, "kept\nhello\n");
}

#[test]
fn an_app_goes_to_another_server_in_one_file() {
    let test = "an_app_goes_to_another_server_in_one_file";
    if !can_run(test) || !has_restic(test) {
        return;
    }
    let (here, there) = (Hop::start(), Hop::start());
    with_shop(&here);
    let file = here.scratch().join("shop.hop3");
    let name = file.to_str().unwrap();
    here.hop3(["app", "export", "shop", name]).expect_ok();
    there.hop3(["app", "import", name]).expect_ok();
    expect_shop(&there, "shop");
    assert!(there.json(["domain", "list", "-a", "shop", "--json"]).to_string().contains("shop.example.org"));
    // Nothing of it lies about, here or there.
    for hop in [&here, &there] {
        let left = std::fs::read_dir(hop.root().join("backups/staging")).map_or(0, Iterator::count);
        assert_eq!(left, 0);
    }
    // Where the name is taken it wants another, and then has addons of its own.
    let taken = here.hop3(["app", "import", name]);
    assert!(!taken.ok && taken.text.contains("app.exists"), "{}", taken.text);
    here.hop3(["app", "import", name, "--as", "twin"]).expect_ok();
    expect_shop(&here, "twin");
    rows(&here, "twin", "drop table book");
    // Its files call its own addon by the name that the other one has.
    let pushed = here.repository("again", &fixture("database")).push(&here.remote("twin"), "+main");
    assert!(pushed.ok, "{}", pushed.text);
    expect_shop(&here, "shop");

    // Half a file, and something else, make no app.
    let whole = std::fs::read(&file).unwrap();
    for (number, bytes) in [&whole[..whole.len() / 2], b"no archive at all"].into_iter().enumerate() {
        let broken = here.scratch().join(format!("broken-{number}"));
        std::fs::File::create(&broken).unwrap().write_all(bytes).unwrap();
        let refused = there.hop3(["app", "import", broken.to_str().unwrap(), "--as", "broken"]);
        assert!(!refused.ok && !refused.text.contains("hop3.internal"), "{}", refused.text);
        assert!(!there.hop3(["app", "info", "broken"]).ok);
    }
}

#[test]
fn an_app_moves_to_another_server() {
    let test = "an_app_moves_to_another_server";
    if !can_run(test) || !has_restic(test) {
        return;
    }
    let (here, there) = (Hop::start(), Hop::start());
    with_shop(&here);
    let moved = here.hop3(["app", "move", "shop", "--to", there.root().to_str().unwrap()]).expect_ok();
    println!("{}", moved.stdout);
    assert!(moved.stdout.contains("stood still for"));
    expect_shop(&there, "shop");
    assert_eq!(here.get("shop", "/").status, 503);

    // A second time it is there already: it serves here again.
    let refused = here.hop3(["app", "move", "shop", "--to", there.root().to_str().unwrap()]);
    assert!(!refused.ok && refused.text.contains("app.exists"), "{}", refused.text);
    expect_shop(&here, "shop");
}
