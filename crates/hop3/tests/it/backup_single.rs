// SPDX-License-Identifier: Apache-2.0
//! A backup of an addon by itself, with all that backups of apps have.

use crate::addon::{can_run, rows};
use crate::backup::{create, has_restic};
use crate::backup_proof::refused;
use crate::backup_server::rebuild;
use crate::harness::{Hop, fixture, until};
use serde_json::Value;

fn backup(hop: &Hop, arguments: &[&str]) -> String {
    let made = hop.hop3(["addon", "backup", "books", "--json"].iter().chain(arguments)).expect_ok();
    let news: Value = serde_json::from_str(made.stdout.lines().last().unwrap()).unwrap();
    news["backups"][0]["id"].as_str().unwrap().to_owned()
}

fn titles(hop: &Hop) -> String {
    rows(hop, "shop", "select string_agg(title, ' ' order by title) from book")
}

#[test]
fn an_addon_is_backed_up_by_itself() {
    let test = "an_addon_is_backed_up_by_itself";
    if !can_run(test) || !has_restic(test) {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &fixture("database"));
    rows(&hop, "shop", "create table book (title text)");
    rows(&hop, "shop", "insert into book values ('one')");
    let place = hop.scratch().join("elsewhere");
    hop.hop3(["backup", "targets", "add", "disk", place.to_str().unwrap()]).expect_ok();
    let id = backup(&hop, &["--to", "disk"]);
    let listed = hop.hop3(["backup", "list"]).expect_ok().stdout;
    assert!(listed.contains("addon books") && listed.contains("disk"), "{listed}");
    let shown = hop.hop3(["backup", "info", &id]).expect_ok().stdout;
    assert!(shown.contains("books: 1 table, 1 row\n"), "{shown}");
    hop.hop3(["backup", "verify", &id]).expect_ok();

    // In place, once it is confirmed; what was there is kept.
    rows(&hop, "shop", "insert into book values ('two')");
    assert!(!hop.hop3(["backup", "restore", &id]).ok, "nobody said so");
    assert_eq!(titles(&hop), "one two");
    hop.hop3(["backup", "restore", &id, "--confirm", "books"]).expect_ok();
    until("the app is back in", || titles(&hop) == "one");
    let newest = hop.json(["backup", "list", "--json"])[0].clone();
    assert_eq!((&newest["addon"], &newest["target"]), (&"books".into(), &"disk".into()), "{newest}");
    hop.hop3(["backup", "restore", newest["id"].as_str().unwrap(), "--confirm", "books"]).expect_ok();
    until("the app is back in", || titles(&hop) == "one two");
    hop.hop3(["backup", "restore", &id, "--as", "old-books"]).expect_ok();
    let arguments = ["addon", "shell", "old-books", "-A", "-t", "-c", "select title from book"];
    assert!(hop.hop3(arguments).expect_ok().stdout.starts_with("one\n"));

    // Found again by whoever adds the place, and no backup of a server.
    hop.hop3(["backup", "targets", "remove", "disk"]).expect_ok();
    hop.hop3(["backup", "targets", "add", "again", place.to_str().unwrap()]).expect_ok();
    let found = hop.json(["backup", "list", "--json"]);
    assert!(found.as_array().unwrap().iter().all(|one| one["addon"] == "books"), "{found}");
    let key = hop.hop3(["backup", "key"]).expect_ok().stdout;
    let root = hop.scratch().join("other-root");
    let none = rebuild(&hop, &place, &root, &key);
    assert!(!none.ok && none.text.contains("backup.no-server"), "{}", none.text);

    // Kept and scheduled apart from those of its app.
    create(&hop, &["-a", "shop", "--to", "again"]);
    hop.hop3(["backup", "prune", "--addon", "books", "--keep-last", "1"]).expect_ok();
    let left = hop.json(["backup", "list", "--json"]);
    assert_eq!(left.as_array().unwrap().len(), 2, "{left}");
    let at = "0 4 * * *";
    hop.hop3(["backup", "schedule", "--addon", "books", "--at", at, "--to", "again"]).expect_ok();
    hop.hop3(["backup", "schedule", "-a", "shop", "--at", at]).expect_ok();
    hop.hop3(["addon", "rename", "books", "novels"]).expect_ok();
    let set = hop.json(["backup", "schedule", "--json"]);
    assert!(set.as_array().unwrap().iter().any(|one| one["addon"] == "novels"), "{set}");
    hop.hop3(["backup", "schedule", "--addon", "novels", "--off"]).expect_ok();
    assert_eq!(hop.json(["backup", "schedule", "--json"]).as_array().unwrap().len(), 1);
    refused(&hop, &["addon", "backup", "films"], "addon.unknown");
    hop.hop3(["addon", "create", "memcached", "cache"]);
    if hop.hop3(["addon", "info", "cache"]).ok {
        refused(&hop, &["addon", "backup", "cache"], "addon.holds-nothing");
        refused(&hop, &["backup", "schedule", "--addon", "cache", "--at", at], "addon.holds-nothing");
    }
}
