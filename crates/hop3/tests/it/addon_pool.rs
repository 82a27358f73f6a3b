// SPDX-License-Identifier: Apache-2.0
//! A pooler before PostgreSQL: many clients on a few connections, poolers and servers that are killed, and a pool that is
//! asked for and taken back while an app is served.

use crate::addon::{bring_postgres, can_run};
use crate::harness::{Hop, skip, until};
use crate::ledger::Ledger;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::process::Command;

/// Opens 200 connections, and asks on all of them at the same time; then tells, and waits for its end.
const CLIENTS: &str = r#"
import psycopg2, sys, threading
url, count, rounds = sys.argv[1], int(sys.argv[2]), 20
clients = [psycopg2.connect(url) for _ in range(count)]
def ask(client):
    for number in range(rounds):
        with client.cursor() as cursor:
            cursor.execute("SELECT %s + 1", (number,))
            assert cursor.fetchone() == (number + 1,)
        client.commit()
threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("asked", flush=True)
sys.stdin.read()
"#;

pub(crate) fn has_pooler(test: &str) -> bool {
    let is_there = std::path::Path::new("/usr/sbin/pgbouncer").exists();
    if !is_there {
        skip(test, "PgBouncer is not installed");
    }
    is_there
}

fn ready(test: &str) -> bool {
    can_run(test) && crate::ledger::can_run(test, "postgres") && has_pooler(test)
}

fn told(hop: &Hop, addon: &str, variable: &str) -> String {
    let told = hop.json(["addon", "credentials", "show", addon, "--json"]);
    told["variables"][variable].as_str().unwrap_or_default().to_owned()
}

fn psql(url: &str, query: &str) -> Result<String, String> {
    let said = Command::new("psql").args(["-X", "-A", "-t", "-c", query, "-d", url]).output().unwrap();
    match said.status.success() {
        true => Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&said.stderr).into_owned()),
    }
}

fn info(hop: &Hop, addon: &str) -> Value {
    hop.json(["addon", "info", addon, "--json"])
}

/// Pid of the pooler, by the place it works in.
fn pooler(hop: &Hop, addon: &str) -> Option<u32> {
    let server = info(hop, addon)["server"].as_str().unwrap().to_owned();
    let place = hop.root().join("addons").join(server).join("pooler");
    let home = format!("HOME={}\0", place.display());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim() == "pgbouncer" && environment.windows(home.len()).any(|window| window == home.as_bytes())
    })
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
}

/// Proportional memory in KiB.
fn memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn many_clients_share_a_few_connections() {
    if !ready("many_clients_share_a_few_connections") {
        return;
    }
    let hop = Hop::start();
    hop.hop3(["addon", "create", "postgres", "books", "-o", "pool=transaction"]).expect_ok();
    let (url, direct) = (told(&hop, "books", "DATABASE_URL"), told(&hop, "books", "DATABASE_DIRECT_URL"));
    assert_ne!(url, direct);
    psql(&url, "select 1").unwrap();
    let pid = pooler(&hop, "books").unwrap();
    // No password is an argument.
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    let password = url.split([':', '@']).nth(2).unwrap();
    assert!(!arguments.contains(password), "{arguments}");
    let idle = memory(pid);
    let mut clients = Command::new("/usr/bin/python3");
    clients.args(["-c", CLIENTS, &url, "200"]);
    let mut clients =
        clients.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(clients.stdout.as_mut().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "asked\n");
    let query = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    let connections: u64 = psql(&direct, query).unwrap().parse().unwrap();
    let full = memory(pid);
    let pool = info(&hop, "books")["status"]["pool"].clone();
    println!(
        "200 clients: {connections} connections of the server; the pooler {idle} KiB idle, {full} KiB then; {pool}"
    );
    assert!((1..=10).contains(&connections), "{connections}");
    assert_eq!(pool["clients"], 200, "{pool}");
    assert_eq!(pool["connections"], connections, "{pool}");
    let shown = hop.hop3(["addon", "info", "books"]).expect_ok().stdout;
    assert!(shown.contains("200 clients share"), "{shown}");
    drop(clients.stdin.take());
    assert!(clients.wait().unwrap().success());
    // Without it, so many are refused.
    let refused = Command::new("/usr/bin/python3").args(["-c", CLIENTS, &direct, "200"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("too many connections"));
}

#[test]
fn a_pool_is_asked_for_and_taken_back_under_load() {
    let test = "a_pool_is_asked_for_and_taken_back_under_load";
    if !ready(test) {
        return;
    }
    let hop = Hop::start();
    let (ledger, _repository) = Ledger::start(&hop, "postgres");
    let addon = ledger.addon.clone();
    let plain = told(&hop, &addon, "DATABASE_URL");
    ledger.more(50);
    for mode in ["transaction", "session"] {
        hop.hop3(["addon", "scale", &addon, &format!("pool={mode}")]).expect_ok();
        ledger.more(50);
        assert_eq!(hop.get(&ledger.app, "/url").text(), told(&hop, &addon, "DATABASE_URL"));
        assert_ne!(told(&hop, &addon, "DATABASE_URL"), plain);
    }
    hop.hop3(["addon", "rename", &addon, "numbers"]).expect_ok();
    ledger.more(50);
    let pooled = told(&hop, "numbers", "DATABASE_URL");
    hop.hop3(["addon", "scale", "numbers", "pool="]).expect_ok();
    ledger.more(50);
    assert_eq!(hop.get(&ledger.app, "/url").text(), plain);
    until("the pooler has ended", || psql(&pooled, "select 1").is_err());
    assert!(pooler(&hop, "numbers").is_none());
    assert!(info(&hop, "numbers")["options"].get("pool").is_none());
    ledger.more(50);
    assert_eq!(ledger.lost(&hop), [0; 0]);
    let (acknowledged, failures) = ledger.stop();
    println!("{acknowledged} requests while a pool came, changed and went; {} failed", failures.len());
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_pooler_and_its_server_come_back_by_themselves() {
    let test = "a_pooler_and_its_server_come_back_by_themselves";
    if !ready(test) {
        return;
    }
    let mut hop = Hop::start();
    let has_newer = bring_postgres(&hop);
    let options = "version = \"15\"\noptions = { pool = \"transaction\" }\n";
    let (ledger, _repository) = Ledger::start_with(&hop, "pooled", "postgres", options);
    ledger.more(50);
    let first = pooler(&hop, &ledger.addon).unwrap();
    kill(first);
    ledger.more(50);
    assert_ne!(pooler(&hop, &ledger.addon), Some(first));
    // The server itself; clients stay at the pooler meanwhile.
    let server = hop.root().join("addons").join(info(&hop, &ledger.addon)["server"].as_str().unwrap());
    let pid_file = std::fs::read_to_string(server.join("data/postmaster.pid")).unwrap();
    kill(pid_file.lines().next().unwrap().parse().unwrap());
    ledger.more(50);
    hop.kill("supervisor");
    ledger.more(50);
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    hop.boot();
    ledger.more(50);
    assert_eq!(ledger.lost(&hop), [0; 0]);
    // What it holds is replaced by itself, and it moves: the way there is a pooler's.
    let file = hop.scratch().join("numbers.dump");
    hop.hop3(["addon", "export", &ledger.addon, file.to_str().unwrap()]).expect_ok();
    if has_newer {
        hop.hop3(["addon", "upgrade", &ledger.addon, "16"]).expect_ok();
        ledger.more(50);
        assert_eq!(info(&hop, &ledger.addon)["status"]["pool"]["mode"], "transaction");
        assert_eq!(ledger.lost(&hop), [0; 0]);
    }
    let (addon, app) = (ledger.addon.clone(), ledger.app.clone());
    let (acknowledged, failures) = ledger.stop();
    println!("{acknowledged} acknowledged and there; {} not acknowledged", failures.len());
    hop.hop3(["addon", "import", &addon, file.to_str().unwrap(), "--confirm", &addon]).expect_ok();
    until("the app is back in", || hop.get(&app, "/all").status == 200);
    let pid = pooler(&hop, &addon).unwrap();
    hop.hop3(["app", "destroy", &app, "--confirm", &app]).expect_ok();
    hop.hop3(["addon", "destroy", &addon, "--confirm", &addon, "--now"]).expect_ok();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(std::fs::read_dir(hop.root().join("addons")).unwrap().count(), 0);
}
