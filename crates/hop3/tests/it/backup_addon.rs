// SPDX-License-Identifier: Apache-2.0
//! Backups of apps with a database: in place, as a copy with a database of its own, proven, and on a server made anew.

use crate::addon::{can_run, rows};
use crate::backup::{create, has_restic};
use crate::backup_server::rebuild;
use crate::harness::{Hop, fixture, until};

fn ready(test: &str) -> bool {
    has_restic(test) && can_run(test)
}

#[test]
fn a_database_comes_back_with_its_app() {
    if !ready("a_database_comes_back_with_its_app") {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &fixture("database"));
    rows(&hop, "shop", "create table book (title text)");
    rows(&hop, "shop", "insert into book values ('one')");
    let id = create(&hop, &["-a", "shop"]);
    let told = hop.json(["backup", "info", &id, "--json"]);
    assert_eq!(told["apps"][0]["parts"], serde_json::json!(["data", "repo", "release", "addon:books"]));
    rows(&hop, "shop", "insert into book values ('two')");
    hop.hop3(["backup", "verify", &id]).expect_ok();
    let addons = hop.json(["addon", "list", "--json"]).as_array().unwrap().len();
    assert_eq!(addons, 1, "the scratch one is gone");

    hop.hop3(["backup", "restore", &id, "--as", "copy"]).expect_ok();
    assert_eq!(rows(&hop, "copy", "select string_agg(title, ' ') from book"), "one");
    rows(&hop, "copy", "delete from book");
    assert_eq!(rows(&hop, "shop", "select string_agg(title, ' ') from book"), "one two");
    hop.hop3(["backup", "restore", &id]).expect_ok();
    assert_eq!(rows(&hop, "shop", "select string_agg(title, ' ') from book"), "one");
    rows(&hop, "shop", "insert into book values ('three')");
}

#[test]
fn a_database_comes_back_with_its_server() {
    if !ready("a_database_comes_back_with_its_server") {
        return;
    }
    let mut hop = Hop::start();
    hop.push("shop", &fixture("database"));
    rows(&hop, "shop", "create table book (title text)");
    rows(&hop, "shop", "insert into book values ('one')");
    let place = hop.scratch().join("elsewhere");
    hop.hop3(["backup", "targets", "add", "disk", place.to_str().unwrap()]).expect_ok();
    create(&hop, &["--server", "--to", "disk"]);
    let key = hop.hop3(["backup", "key"]).expect_ok().stdout;
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    std::fs::rename(hop.root(), hop.scratch().join("lost")).unwrap();
    rebuild(&hop, &place, &hop.root(), &key).expect_ok();
    hop.boot();
    until("the app answers", || hop.get("shop", "/select 1".replace(' ', "%20").as_str()).status == 200);
    assert_eq!(rows(&hop, "shop", "select string_agg(title, ' ') from book"), "one");
    rows(&hop, "shop", "insert into book values ('two')");
}
