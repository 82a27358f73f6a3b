// SPDX-License-Identifier: Apache-2.0
//! The server is killed in the middle of `addon upgrade`, at each of its steps: the addon is whole on one of the versions,
//! the app goes on by itself, the verb can be given again, and nothing of it is left over.

use crate::addon::{ask, bring_postgres, can_run, rows};
use crate::harness::{Hop, fixture, skip, until};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What has just become so when the server is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// The directory of the newer server is there.
    Begun,
    /// The newer server answers.
    Served,
    /// Nobody comes in any more.
    Closed,
    /// What the addon holds is being read into the newer server.
    Carrying,
    /// It is whole there; the app does not know yet.
    Carried,
    /// The app is about to be told, or is.
    Told,
}

const MOMENTS: [Moment; 6] =
    [Moment::Begun, Moment::Served, Moment::Closed, Moment::Carrying, Moment::Carried, Moment::Told];

const TABLE: &str =
    "create table book as select n as number, repeat('text ', 20) as text from generate_series(1, 60000) n";
const SUM: &str = "select sum(number) from book";
const IS_SUM: &str = "1800030000";

struct Trial {
    hop: Hop,
}

impl Trial {
    /// Directories of servers: the one that the addon lives on is known by its own.
    fn servers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.hop.root().join("addons")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// What a client of the app's own says at the newer server.
    fn newer(&self, old: &Path, url: &str, query: &str) -> Option<String> {
        let newer = self.servers().into_iter().find(|server| server.as_path() != old)?;
        let pid_file = std::fs::read_to_string(newer.join("data/postmaster.pid")).ok()?;
        let port = pid_file.lines().nth(3)?.to_owned();
        let (front, database) = url.rsplit_once('/')?;
        let url = format!("{}:{port}/{database}", front.rsplit_once(':')?.0);
        let said = Command::new("psql").args(["-X", "-A", "-t", "-c", query, "-d", &url]).output().ok()?;
        said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    fn has_come(&self, moment: Moment, app: &str, old: &Path, url: &str) -> bool {
        let says = |query: &str| self.newer(old, url, query);
        match moment {
            Moment::Begun => self.servers().iter().any(|server| server.as_path() != old),
            Moment::Served => {
                let newer = self.servers().into_iter().find(|server| server.as_path() != old);
                newer.is_some_and(|server| server.join("data/postmaster.pid").exists())
            }
            Moment::Closed => ask(&self.hop, app, "select 1").status == 500,
            Moment::Carrying => {
                says("select count(*) from pg_database where datname like '%\\_restored'").as_deref()
                    == Some("1")
            }
            Moment::Carried => {
                says("select 1 from pg_tables where tablename = 'book'").as_deref() == Some("1")
            }
            Moment::Told => {
                ask(&self.hop, app, SUM).text().trim() == IS_SUM && says(SUM).as_deref() == Some(IS_SUM)
            }
        }
    }

    fn kill_at(&self, moment: Moment) {
        let (hop, app) = (&self.hop, "shop");
        let repository = hop.repository(&format!("{moment:?}"), &fixture("database"));
        repository
            .write("hop3.toml", "[[addons]]\ntype = \"postgres\"\nname = \"books\"\nversion = \"15\"\n");
        repository.commit("a version");
        let pushed = repository.push(&hop.remote(app), "main");
        assert!(pushed.ok, "{}", pushed.text);
        rows(hop, app, TABLE);
        let told = hop.json(["addon", "credentials", "show", "books", "--json"]);
        let url = told["variables"]["DATABASE_URL"].as_str().unwrap().to_owned();
        let old = self.servers().remove(0);
        let mut upgrade = hop.command(["addon", "upgrade", "books", "16"]).spawn().unwrap();
        until(&format!("{moment:?}"), || self.has_come(moment, app, &old, &url));
        hop.kill("server");
        let was_done = upgrade.wait().unwrap().success();
        until("the server answers", || hop.api("GET", "/api/apps", "").status == 200);

        // By itself, and with all that it had.
        until("the app goes on", || ask(hop, app, SUM).text().trim() == IS_SUM);
        until("one server is left", || self.servers().len() == 1);
        assert_eq!(rows(hop, app, "insert into book values (0, '')"), "INSERT 0 1");
        let version = hop.json(["addon", "info", "books", "--json"])["addon"]["version"].clone();
        println!("killed when {moment:?}: on {version}; the verb said it was done: {was_done}");
        let users = rows(hop, app, "select count(*) from pg_roles where rolname like 'books\\_%\\_moving'");
        assert_eq!(users, "0", "whoever was let in meanwhile is gone");

        hop.hop3(["addon", "upgrade", "books", "16"]).expect_ok();
        assert!(rows(hop, app, "show server_version").starts_with("16"));
        assert_eq!(rows(hop, app, SUM), IS_SUM);
        assert_eq!(self.servers().len(), 1);
        hop.hop3(["app", "destroy", app, "--confirm", app]).expect_ok();
        hop.hop3(["addon", "destroy", "books", "--confirm", "books", "--now"]).expect_ok();
        assert!(self.servers().is_empty());
    }
}

#[test]
fn an_upgrade_that_is_killed_in_its_middle_is_ended_or_taken_back() {
    let test = "an_upgrade_that_is_killed_in_its_middle_is_ended_or_taken_back";
    if !can_run(test) {
        return;
    }
    let trial = Trial { hop: Hop::start() };
    if !bring_postgres(&trial.hop) {
        return skip(test, "HOP3_TEST_POSTGRES names no directory with other versions");
    }
    MOMENTS.into_iter().for_each(|moment| trial.kill_at(moment));
}

/// A rotation whose server dies before an app was told: what the app knows stays valid until it knows better.
#[test]
fn a_rotation_that_is_killed_locks_nobody_out() {
    if !can_run("a_rotation_that_is_killed_locks_nobody_out") {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &fixture("database"));
    rows(&hop, "shop", "create table book as select 1 as number");
    let credentials = || hop.json(["addon", "credentials", "show", "books", "--json"]);
    let before = credentials();
    let mut rotate = hop.command(["addon", "credentials", "rotate", "books"]).spawn().unwrap();
    until("there is another password", || credentials() != before);
    hop.kill("server");
    rotate.wait().unwrap();
    until("the server answers", || hop.api("GET", "/api/apps", "").status == 200);
    let fresh = credentials();
    let url = |told: &serde_json::Value| told["variables"]["DATABASE_URL"].as_str().unwrap().to_owned();
    let opens = |url: &str| {
        Command::new("psql").args(["-X", "-c", "select 1", "-d", url]).output().unwrap().status.success()
    };
    let mut failures = 0;
    until("the former password has ended", || {
        failures += usize::from(ask(&hop, "shop", "select number from book").status != 200);
        !opens(&url(&before))
    });
    assert_eq!(failures, 0, "requests failed");
    assert!(opens(&url(&fresh)));
    assert_eq!(rows(&hop, "shop", "select number from book"), "1");
}
