// SPDX-License-Identifier: Apache-2.0
//! Backups of apps with a database: in place, as a copy with a database of its own, proven, and on a server made anew.

use crate::addon::{can_run, rows};
use crate::backup::{create, has_restic};
use crate::backup_server::rebuild;
use crate::harness::{Hop, example, fixture, until};
use crate::probe;
use std::time::Instant;

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
    // The database alone, beside what it holds now and in place of it.
    hop.hop3(["backup", "restore", &id, "--addon", "books", "--as", "old-books"]).expect_ok();
    assert!(shell(&hop, "old-books", &["-A", "-t", "-c", "select title from book"]).starts_with("one\n"));
    assert!(!hop.hop3(["backup", "restore", &id, "--addon", "films", "--as", "x"]).ok);
    assert!(!hop.hop3(["backup", "restore", &id, "--addon", "books"]).ok, "nobody said so");
    hop.hop3(["backup", "restore", &id, "--addon", "books", "--confirm", "books"]).expect_ok();
    until("the app is back in", || rows(&hop, "shop", "select string_agg(title, ' ') from book") == "one");
    rows(&hop, "shop", "insert into book values ('two')");
    hop.hop3(["backup", "restore", &id]).expect_ok();
    assert_eq!(rows(&hop, "shop", "select string_agg(title, ' ') from book"), "one");
    rows(&hop, "shop", "insert into book values ('three')");
}

/// One addon of every kind that this machine has a server of, and that keeps something.
fn one_of_each(hop: &Hop) -> Vec<String> {
    let kinds = hop.json(["addon", "kinds", "--json"]);
    let kinds = kinds.as_array().unwrap().iter().filter(|kind| {
        let can = &kind["capabilities"];
        can["backs_up"] == true
            && can["serves"] == true
            && kind["versions"].as_array().is_some_and(|v| !v.is_empty())
    });
    let kinds: Vec<String> = kinds.map(|kind| kind["kind"].as_str().unwrap().to_owned()).collect();
    for kind in &kinds {
        let name = format!("one-{kind}");
        let options: &[&str] = if kind == "mail" { &["-o", "inbox=yes"] } else { &[] };
        hop.hop3(["addon", "create", kind, &name].iter().chain(options)).expect_ok();
    }
    kinds
}

/// Puts something into the databases that have a client.
fn fill(hop: &Hop) {
    shell(hop, "one-postgres", &["-c", "create table kept as select 42 as number"]);
    shell(hop, "one-mysql", &["-e", "create table kept as select 42 as number"]);
    shell(hop, "one-redis", &["set", "kept", "42"]);
}

#[track_caller]
fn expect_filled(hop: &Hop) {
    for (addon, arguments) in [
        ("one-postgres", ["-c", "select number from kept"]),
        ("one-mysql", ["-e", "select number from kept"]),
        ("one-redis", ["get", "kept"]),
    ] {
        assert!(shell(hop, addon, &arguments).contains("42"), "{addon}");
    }
}

#[track_caller]
fn shell(hop: &Hop, addon: &str, arguments: &[&str]) -> String {
    hop.hop3(["addon", "shell", addon].iter().chain(arguments)).expect_ok().stdout
}

/// The disaster: apps, addons, a volume, a domain, a certificate of one's own authority, a token and a key.
#[test]
fn a_whole_server_comes_back_with_all_it_had() {
    if !ready("a_whole_server_comes_back_with_all_it_had") {
        return;
    }
    let mut hop = Hop::start();
    hop.push("shop", &fixture("database"));
    rows(&hop, "shop", "create table book (title text)");
    rows(&hop, "shop", "insert into book values ('one')");
    let kinds = one_of_each(&hop);
    assert!(kinds.len() >= 3, "{kinds:?}");
    fill(&hop);
    for app in ["blog", "wiki", "files"] {
        let volume = [("hop3.toml", "[[volumes]]\nname = \"files\"\ntarget = \"uploads\"\n")];
        let tree = probe::with_procfile_in(&probe::tree(&hop, app, &volume), "web: perl server.pl\n");
        hop.push(app, &tree);
        probe::inside(
            &hop,
            app,
            &format!("echo of-{app} > uploads/note; echo of-{app} > $HOP3_DATA_DIR/note"),
        );
    }
    hop.push("site", &example("apps/static-hello"));
    hop.hop3(["domain", "add", "shop.example.org", "-a", "shop"]).expect_ok();
    let authority = hop.hop3(["cert", "ca"]).expect_ok().stdout;
    let place = hop.scratch().join("elsewhere");
    hop.hop3(["backup", "targets", "add", "disk", place.to_str().unwrap()]).expect_ok();
    let id = create(&hop, &["--server", "--to", "disk"]);
    hop.hop3(["backup", "verify", &id]).expect_ok();
    let key = hop.hop3(["backup", "key"]).expect_ok().stdout;
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    std::fs::rename(hop.root(), hop.scratch().join("lost")).unwrap();

    let began = Instant::now();
    rebuild(&hop, &place, &hop.root(), &key).expect_ok();
    let rebuilt = began.elapsed();
    hop.boot();
    for app in ["shop", "blog", "wiki", "files", "site"] {
        let path = if app == "shop" { "/select%201" } else { "/" };
        until(&format!("{app} answers"), || hop.get(app, path).status == 200);
    }
    let answering = began.elapsed();
    println!("5 apps, addons {kinds:?}: rebuilt after {rebuilt:?}, all answer after {answering:?}");
    assert_eq!(rows(&hop, "shop", "select string_agg(title, ' ') from book"), "one");
    rows(&hop, "shop", "insert into book values ('two')");
    for app in ["blog", "wiki", "files"] {
        let script =
            "cat uploads/note $HOP3_DATA_DIR/note; echo more >> uploads/note; tail -n 1 uploads/note";
        assert_eq!(probe::inside(&hop, app, script), format!("of-{app}\nof-{app}\nmore\n"));
    }
    for kind in &kinds {
        let told = hop.json(["addon", "info", &format!("one-{kind}"), "--json"]);
        assert_eq!(told["status"]["is_up"], true, "{told}");
    }
    expect_filled(&hop);
    assert_eq!(hop.hop3(["cert", "ca"]).expect_ok().stdout, authority);
    assert_eq!(hop.json(["app", "info", "shop", "--json"])["domains"][0], "shop.example.org");
    assert_eq!(hop.api("GET", "/api/apps", "").status, 200, "the token of before");
}
