// SPDX-License-Identifier: Apache-2.0
//! The command line as its user sees it: config, releases, logs, processes, one-off commands, domains, apps.

use crate::harness::{Hop, example, until};
use crate::probe::{self, inside};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;

#[test]
fn each_config_change_is_a_release_and_rollback_brings_code_and_config_back() {
    let hop = Hop::start();
    let repository = probe::push(&hop, "site");
    let release = || hop.json(["app", "info", "site", "--json"])["release"].clone();
    hop.hop3(["config", "set", "COLOUR=red", "SIZE=1", "-a", "site"]).expect_ok();
    assert_eq!(release(), 2);
    assert_eq!(inside(&hop, "site", "echo $COLOUR $SIZE $HOP3_RELEASE"), "red 1 v2\n");
    hop.hop3(["config:unset", "SIZE", "-a", "site"]).expect_ok();
    assert_eq!(inside(&hop, "site", "echo $COLOUR$SIZE"), "red\n");
    assert_eq!(hop.json(["config", "list", "-a", "site", "--json"]), json!({ "COLOUR": null }));
    assert_eq!(hop.hop3(["config", "get", "COLOUR", "-a", "site"]).expect_ok().stdout, "red\n");
    assert_eq!(hop.hop3(["config", "get", "SIZE", "-a", "site"]).code, Some(3));
    // Without a restart it counts from the next release on.
    hop.hop3(["config", "set", "COLOUR=blue", "--no-restart", "-a", "site"]).expect_ok();
    assert_eq!((release(), inside(&hop, "site", "echo $COLOUR")), (json!(3), "red\n".to_owned()));
    repository.write("new.txt", "new");
    repository.commit("second");
    repository.push(&hop.remote("site"), "main").expect_ok();
    assert_eq!(inside(&hop, "site", "cat new.txt; echo $COLOUR"), "newblue\n");

    let listed = hop.json(["release", "list", "-a", "site", "--json"]);
    let numbers: Vec<_> = listed.as_array().unwrap().iter().map(|r| r["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
    let reasons = listed.to_string();
    assert!(reasons.contains("COLOUR") && !reasons.contains("red"), "{reasons}");
    let info = hop.json(["release", "info", "v2", "-a", "site", "--json"]);
    assert_eq!(info["config_keys"], json!(["COLOUR", "SIZE"]));
    hop.hop3(["rollback", "v2", "-a", "site"]).expect_ok();
    assert_eq!(release(), 5);
    assert_eq!(inside(&hop, "site", "cat new.txt 2>/dev/null; echo $COLOUR $SIZE"), "red 1\n");
    assert_eq!(hop.hop3(["config", "get", "SIZE", "-a", "site"]).expect_ok().stdout, "1\n");
    // Without a number: the one before.
    hop.hop3(["release", "rollback", "-a", "site"]).expect_ok();
    assert_eq!(inside(&hop, "site", "cat new.txt; echo $COLOUR"), "newblue\n");
    assert_eq!(hop.hop3(["rollback", "v99", "-a", "site"]).code, Some(3));
}

#[test]
fn a_key_of_many_lines_comes_back_as_it_went_in() {
    let hop = Hop::start();
    probe::push(&hop, "site");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----", "MIIEvQ+/=\n".repeat(30));
    let file = hop.scratch().join("env");
    std::fs::write(&file, format!("# a comment\nexport A=1\nKEY=\"{pem}\"\nB='x y'\n")).unwrap();
    hop.hop3(["config", "import", file.to_str().unwrap(), "-a", "site"]).expect_ok();
    assert_eq!(hop.hop3(["config", "get", "KEY", "-a", "site"]).expect_ok().stdout, format!("{pem}\n"));
    assert_eq!(inside(&hop, "site", "printf %s \"$KEY|$A|$B\""), format!("{pem}|1|x y"));
    let mut import =
        hop.command(["config", "import", "-", "-a", "site"]).stdin(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(b"C=from a pipe\n").unwrap();
    assert!(import.wait().unwrap().success());
    assert_eq!(inside(&hop, "site", "echo $C"), "from a pipe\n");
    let bad = hop.scratch().join("bad");
    std::fs::write(&bad, "GOOD=1\nBAD KEY=1\n").unwrap();
    let refused = hop.hop3(["config", "import", bad.to_str().unwrap(), "-a", "site"]);
    assert!(!refused.ok && refused.text.contains(":2"), "{}", refused.text);
    assert_eq!(hop.hop3(["config", "get", "GOOD", "-a", "site"]).code, Some(3));
}

#[test]
fn logs_are_one_stream_with_filters() {
    let hop = Hop::start();
    let procfile =
        "build: echo building-it\nweb: perl server.pl\nworker: sh -c 'echo worker-says; exec sleep 600'\n";
    hop.push("site", &probe::with_procfile(&hop, "site", procfile));
    let logs =
        |arguments: &[&str]| hop.hop3([&["logs", "-a", "site"], arguments].concat()).expect_ok().stdout;
    until("the worker has spoken", || logs(&[]).contains("worker-says"));
    inside(&hop, "site", "echo one-line > /proc/$PPID/fd/2");
    until("the line is there", || logs(&[]).contains("one-line"));
    let all = logs(&["-n", "500"]);
    let at = |text: &str| all.find(text).unwrap_or_else(|| panic!("{text} is not in\n{all}"));
    assert!(at("building-it") < at("deployed in") && at("listening") < at("one-line"), "{all}");
    let worker = logs(&["--process", "worker"]);
    assert!(worker.contains("worker-says") && !worker.contains("one-line"), "{worker}");
    let build = logs(&["--build"]);
    assert!(build.contains("building-it") && !build.contains("one-line"), "{build}");
    assert_eq!(logs(&["-n", "1"]).lines().count(), 1);
    assert!(logs(&["--since", "1h"]).contains("one-line"));
    assert_eq!(logs(&["--since", "0s"]), "");
    assert_eq!(hop.hop3(["logs", "--since", "x", "-a", "site"]).code, Some(1));
    let entries = hop.json(["logs", "-n", "500", "-a", "site", "--json"]);
    let times: Vec<_> = entries.as_array().unwrap().iter().map(|e| e["time_ms"].as_u64().unwrap()).collect();
    assert!(times.is_sorted());
}

#[test]
fn a_followed_log_shows_new_lines_as_they_come() {
    let hop = Hop::start();
    probe::push(&hop, "site");
    let mut follow =
        hop.command(["logs", "-f", "-n", "5", "-a", "site"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut expect =
        |text: &str| assert!(lines.any(|line| line.unwrap().contains(text)), "{text} never comes");
    expect("deployed in");
    inside(&hop, "site", "echo fresh-line > /proc/$PPID/fd/2");
    expect("fresh-line");
    hop.hop3(["config", "set", "A=1", "-a", "site"]).expect_ok();
    expect("config changed: A");
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn processes_are_stopped_started_restarted_and_scaled() {
    let hop = Hop::start();
    let procfile = "web: perl server.pl\nworker: sleep 600\n";
    hop.push("site", &probe::with_procfile(&hop, "site", procfile));
    let ids = || -> Vec<String> {
        hop.instances("site").iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect()
    };
    let pid = |id: &str| hop.instances("site").iter().find(|i| i["id"] == id).unwrap()["pid"].clone();
    let hop_ok = |arguments: &[&str]| drop(hop.hop3(arguments).expect_ok());
    let exactly = |wanted: &[&str]| until(&format!("{wanted:?} run"), || ids() == wanted);
    hop_ok(&["scale", "web=3", "worker=2", "-a", "site"]);
    exactly(&["web.v1.1", "web.v1.2", "web.v1.3", "worker.v1.1", "worker.v1.2"]);
    let ports: std::collections::BTreeSet<String> =
        (0..60).map(|_| inside(&hop, "site", "echo $PORT")).collect();
    assert_eq!(ports.len(), 3, "{ports:?}");
    let before = (pid("web.v1.1"), pid("web.v1.2"));
    hop_ok(&["ps", "restart", "web.v1.2", "-a", "site"]);
    assert_eq!(pid("web.v1.1"), before.0);
    assert_ne!(pid("web.v1.2"), before.1);
    hop_ok(&["scale", "web=1", "worker=0", "-a", "site"]);
    exactly(&["web.v1.1"]);
    assert_eq!(hop.json(["scale", "-a", "site", "--json"]), json!({ "web": 1, "worker": 0 }));
    for (wrong, code) in
        [("web=-1", 1), ("web=x", 1), ("web=1.5", 1), ("web=99999999999", 1), ("web=101", 1), ("none=1", 3)]
    {
        assert_eq!(hop.hop3(["scale", wrong, "-a", "site"]).code, Some(code), "{wrong}");
    }
    hop_ok(&["scale", "web=0", "-a", "site"]);
    exactly(&[]);
    assert_eq!(hop.get("site", "/").status, 503);
    hop_ok(&["scale", "web=1", "-a", "site"]);
    assert_eq!(hop.get("site", "/").status, 200);
    hop_ok(&["ps:stop", "-a", "site"]);
    exactly(&[]);
    assert_eq!(hop.get("site", "/").status, 503);
    assert_eq!(hop.json(["app", "info", "site", "--json"])["state"], "stopped");
    hop_ok(&["ps", "start", "-a", "site"]);
    assert_eq!(hop.get("site", "/").status, 200);
    hop_ok(&["restart", "-a", "site"]);
    exactly(&["web.v2.1"]);
    assert_eq!(hop.get("site", "/").status, 200);
}

#[test]
fn a_one_off_command_has_pipes_status_and_the_apps_environment() {
    let hop = Hop::start();
    probe::push(&hop, "site");
    hop.hop3(["config", "set", "A=from config", "-a", "site"]).expect_ok();
    let said =
        hop.hop3(["run", "-a", "site", "--", "sh", "-c", "echo \"$A\"; test -t 0 || echo pipe; ls; exit 41"]);
    assert_eq!(said.code, Some(41));
    assert_eq!(said.stdout, "from config\npipe\nProcfile\nserver.pl\n");
    let killed = hop.hop3(["run", "-a", "site", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.code, Some(137));
    let missing = hop.hop3(["run", "-a", "site", "no-such-program"]);
    assert!(!missing.ok && missing.text.contains("no-such-program"), "{}", missing.text);
    // What goes in comes out, whole.
    let mut cat = hop
        .command(["run", "-a", "site", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 % 251) as u8).collect();
    let (mut input, sent) = (cat.stdin.take().unwrap(), bytes.clone());
    let writer = std::thread::spawn(move || input.write_all(&sent).unwrap());
    let mut back = Vec::new();
    cat.stdout.take().unwrap().read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    assert!(cat.wait().unwrap().success());
    assert!(back == bytes, "{} of {} bytes came back", back.len(), bytes.len());
}

#[test]
fn a_detached_command_writes_to_the_log_and_exec_sees_the_instance() {
    let hop = Hop::start();
    probe::push(&hop, "site");
    let started = hop.json(["run", "-d", "-a", "site", "--json", "--", "sh", "-c", "echo said-so; exit 3"]);
    let name = started["name"].as_str().unwrap();
    let logs = || hop.hop3(["logs", "-a", "site"]).expect_ok().stdout;
    until("the end is in the log", || {
        logs().lines().any(|l| l.contains(name) && l.contains("ended: exit status 3"))
    });
    assert!(logs().lines().any(|l| l.contains(name) && l.contains("said-so")), "{}", logs());
    let port = inside(&hop, "site", "echo $PORT $HOP3_INSTANCE");
    let exec = hop.hop3(["exec", "-a", "site", "web.v1.1", "--", "sh", "-c", "echo $PORT $HOP3_INSTANCE"]);
    assert_eq!(exec.expect_ok().stdout, port);
    assert_eq!(hop.hop3(["exec", "-a", "site", "web.v9.1", "true"]).code, Some(3));
}

/// A terminal of that size: our end and the command's.
fn terminal(rows: u16, columns: u16) -> (File, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&ours, size).unwrap();
    (ours.into(), theirs)
}

#[test]
fn a_one_off_command_on_a_terminal_has_one() {
    let hop = Hop::start();
    probe::push(&hop, "site");
    let (mut ours, theirs) = terminal(33, 77);
    let script = "test -t 0 && test -t 1 && stty size; read line; echo got $line; exit 7";
    let mut run = hop
        .command(["run", "-a", "site", "--", "sh", "-c", script])
        .stdin(theirs.try_clone().unwrap())
        .stdout(theirs.try_clone().unwrap())
        .stderr(theirs)
        .spawn()
        .unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    let mut expect = |text: &str| {
        while !seen.contains(text) {
            // The end of the other side is an error on a terminal.
            let n = ours.read(&mut buffer).unwrap_or(0);
            assert!(n > 0, "{text} is not in {seen:?}");
            seen += &String::from_utf8_lossy(&buffer[..n]);
        }
    };
    expect("33 77");
    (&ours).write_all(b"typed\r").unwrap();
    let mut rest = Vec::new();
    // Ends with an error once nobody has the other end.
    drop((&ours).read_to_end(&mut rest));
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("got typed"), "{rest:?}");
    assert_eq!(run.wait().unwrap().code(), Some(7));
}

#[test]
fn a_domain_leads_to_one_app() {
    let hop = Hop::start();
    for app in ["one", "two"] {
        hop.push(app, &example("apps/static-hello"));
    }
    let code = |arguments: &[&str]| hop.hop3(arguments).code;
    assert_eq!(hop.get_host("shop.example.org", "/").status, 404);
    assert_eq!(code(&["domain", "add", "shop.example.org", "-a", "one"]), Some(0));
    assert_eq!(hop.get_host("shop.example.org", "/").status, 200);
    assert_eq!(hop.get_host("SHOP.example.org", "/").status, 200);
    let taken = hop.hop3(["domain", "add", "shop.example.org", "-a", "two"]);
    assert!(taken.code == Some(4) && taken.text.contains("domain.taken"), "{}", taken.text);
    assert_eq!(code(&["domain", "add", "two.localhost", "-a", "one"]), Some(4));
    assert_eq!(hop.json(["domain", "list", "-a", "one", "--json"]), json!(["shop.example.org"]));
    assert_eq!(code(&["domain", "add", "*.example.org", "-a", "two"]), Some(0));
    hop.hop3(["ps", "stop", "-a", "two"]).expect_ok();
    assert_eq!(hop.get_host("other.example.org", "/").status, 503);
    assert_eq!(hop.get_host("shop.example.org", "/").status, 200);
    assert_eq!(code(&["domain", "remove", "shop.example.org", "-a", "one"]), Some(0));
    assert_eq!(code(&["domain", "remove", "shop.example.org", "-a", "one"]), Some(3));
    assert_eq!(hop.get_host("shop.example.org", "/").status, 503);
}

#[test]
fn a_renamed_app_keeps_all_it_has_under_the_new_name() {
    let hop = Hop::start();
    let repository = probe::push(&hop, "old");
    inside(&hop, "old", "echo kept > $HOP3_DATA_DIR/a; echo $$ > $HOME/b");
    hop.hop3(["config", "set", "A=1", "-a", "old"]).expect_ok();
    hop.hop3(["domain", "add", "shop.example.org", "-a", "old"]).expect_ok();
    hop.hop3(["scale", "web=2", "-a", "old"]).expect_ok();
    hop.hop3(["app", "rename", "old", "new"]).expect_ok();
    assert_eq!(inside(&hop, "new", "cat $HOP3_DATA_DIR/a; echo $A $HOP3_APP"), "kept\n1 new\n");
    assert_eq!(hop.get("old", "/").status, 404);
    assert_eq!(hop.get_host("shop.example.org", "/").status, 200);
    assert_eq!(hop.instances("new").len(), 2);
    assert_eq!(hop.hop3(["app", "info", "old"]).code, Some(3));
    repository.write("second.txt", "second");
    repository.commit("second");
    repository.push(&hop.remote("new"), "main").expect_ok();
    assert_eq!(inside(&hop, "new", "cat second.txt"), "second");
    // The old name is free, and what gets it has nothing of the other.
    probe::push(&hop, "old");
    assert_eq!(inside(&hop, "old", "ls -A $HOP3_DATA_DIR; echo $A"), "\n");
    assert_eq!(hop.hop3(["app", "rename", "new", "old"]).code, Some(4));
    assert_eq!(inside(&hop, "new", "cat $HOP3_DATA_DIR/a"), "kept\n");
}

#[test]
fn a_clone_has_the_code_and_config_and_nothing_else() {
    let hop = Hop::start();
    probe::push(&hop, "one");
    inside(&hop, "one", "echo mine > $HOP3_DATA_DIR/a");
    hop.hop3(["config", "set", "A=1", "-a", "one"]).expect_ok();
    hop.hop3(["app", "clone", "one", "two"]).expect_ok();
    assert_eq!(inside(&hop, "two", "ls -A $HOP3_DATA_DIR; echo $A $HOP3_APP"), "1 two\n");
    hop.hop3(["app", "destroy", "one", "--confirm", "one"]).expect_ok();
    hop.hop3(["ps", "restart", "-a", "two"]).expect_ok();
    assert_eq!(inside(&hop, "two", "echo $A $HOP3_APP"), "1 two\n");
    assert_eq!(hop.hop3(["app", "clone", "none", "three"]).code, Some(3));
    assert_eq!(hop.hop3(["app", "clone", "two", "two"]).code, Some(4));
}

#[test]
fn a_destroyed_app_leaves_nothing_and_its_name_is_free() {
    let hop = Hop::start();
    let repository = probe::push(&hop, "site");
    inside(&hop, "site", "echo mine > $HOP3_DATA_DIR/stale; echo stale-line > /proc/$PPID/fd/2");
    hop.hop3(["config", "set", "STALE=1", "-a", "site"]).expect_ok();
    hop.hop3(["domain", "add", "shop.example.org", "-a", "site"]).expect_ok();
    let pid = hop.instances("site")[0]["pid"].as_u64().unwrap();
    for wrong in [&["app", "destroy", "site"][..], &["app", "destroy", "site", "--confirm", "other"]] {
        let refused = hop.hop3(wrong);
        assert!(!refused.ok && refused.text.contains("site"), "{}", refused.text);
    }
    assert_eq!(hop.get("site", "/").status, 200);
    hop.hop3(["app", "destroy", "site", "--confirm", "site"]).expect_ok();
    assert_eq!((hop.get("site", "/").status, hop.get_host("shop.example.org", "/").status), (404, 404));
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    for left in ["apps", "artifacts", "layers", "cache", "logs", "run/supervisor/state"] {
        let entries = std::fs::read_dir(hop.root().join(left)).into_iter().flatten().flatten();
        // The proxy's access log is of all apps, and kept by size.
        let entries: Vec<_> =
            entries.map(|e| e.path()).filter(|path| !path.ends_with("logs/@proxy")).collect();
        assert!(entries.is_empty(), "{entries:?}");
    }
    assert_eq!(hop.hop3(["app", "destroy", "site", "--confirm", "site"]).code, Some(3));
    repository.push(&hop.remote("site"), "main").expect_ok();
    assert_eq!(inside(&hop, "site", "ls -A $HOP3_DATA_DIR; echo $STALE$HOP3_RELEASE"), "v1\n");
    let logs = hop.hop3(["logs", "-n", "500", "-a", "site"]).expect_ok().stdout;
    assert!(!logs.contains("stale-line") && !logs.contains("STALE"), "{logs}");
    hop.get("site", "/fresh");
    let requests = || hop.hop3(["logs", "--requests", "-n", "500", "-a", "site"]).expect_ok().stdout;
    // That and the one by which the test looked inside are the new app's; those to the old app are nobody's.
    until("the new app's requests are told", || requests().lines().count() >= 2);
    assert!(requests().contains("/fresh"), "{}", requests());
    assert_eq!(requests().lines().count(), 2, "{}", requests());
}

#[test]
fn every_listing_speaks_json_and_every_kind_of_problem_has_its_status() {
    let hop = Hop::start();
    let empty = hop.hop3(["app", "list"]).expect_ok();
    assert!(empty.text.contains("hop3 app create"), "{}", empty.text);
    probe::push(&hop, "site");
    for arguments in [
        &["app", "list"][..],
        &["apps"],
        &["app", "info", "site"],
        &["ps", "-a", "site"],
        &["config", "list", "-a", "site"],
        &["release", "list", "-a", "site"],
        &["release", "info", "v1", "-a", "site"],
        &["domain", "list", "-a", "site"],
        &["logs", "-a", "site"],
        &["scale", "-a", "site"],
        &["token", "list"],
        &["user", "key", "list"],
        &["status"],
        &["version"],
        &["ps", "restart", "-a", "site"],
        &["config", "set", "A=1", "-a", "site"],
    ] {
        let said = hop.hop3([arguments, &["--json"]].concat());
        // A bare noun is a question for its page of help.
        if arguments == ["apps"] {
            continue;
        }
        assert!(
            said.ok && serde_json::from_str::<Value>(&said.stdout).is_ok(),
            "{arguments:?}: {}",
            said.text
        );
    }
    let failed = hop.hop3(["app", "info", "none", "--json"]);
    assert_eq!(failed.code, Some(3));
    let problem: Value = serde_json::from_str(failed.text.trim()).unwrap();
    assert_eq!(problem["code"], "app.unknown");
    for (arguments, code) in [
        (&["app", "create", "-x"][..], 2),
        (&["nonsense"], 1),
        (&["app", "create", "A"], 1),
        (&["app", "create", "site"], 4),
        (&["app", "info", "none"], 3),
        (&["ps", "-a", "none"], 3),
        (&["deploy", "/nonexistent", "-a", "site"], 1),
    ] {
        let said = hop.hop3(arguments);
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.text);
    }
    let toml = probe::tree(&hop, "bad", &[("hop3.toml", "[nonsense]\n")]);
    assert_eq!(hop.hop3_in(&toml, ["deploy", ".", "-a", "site"]).code, Some(2));
    let away = hop.command(["app", "list"]).env("HOP3_ROOT", hop.scratch().join("nowhere")).output().unwrap();
    assert_eq!(away.status.code(), Some(6));
    let remote = |token: &str| {
        let mut command = hop.command(["app", "list", "--json"]);
        command.env_remove("HOP3_ROOT").env("HOP3_SERVER", format!("http://localhost:{}", hop.port));
        command.env("HOP3_TOKEN", token).output().unwrap()
    };
    assert_eq!(remote("hop3_wrong").status.code(), Some(5));
    assert!(remote(&hop.token).status.success());
}

#[test]
fn doctor_tells_of_the_machine_with_and_without_a_server() {
    let hop = Hop::start();
    let names = |said: &str| -> Vec<String> {
        let checks: Value = serde_json::from_str(said).unwrap();
        checks.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect()
    };
    let with = names(&hop.hop3(["doctor", "--json"]).stdout);
    assert!(with.iter().any(|n| n == "supervisor") && with.iter().any(|n| n == "proxy"), "{with:?}");
    let nowhere = hop.scratch().join("nowhere");
    let without = hop.command(["doctor", "--json"]).env("HOP3_ROOT", nowhere).output().unwrap();
    assert!(!without.status.success());
    let without = names(&String::from_utf8_lossy(&without.stdout));
    assert_eq!(without, ["server", "isolation", "git", "cgroup v2"]);
}

#[test]
fn a_cron_line_runs_at_its_minute() {
    let hop = Hop::start();
    let procfile =
        "web: perl server.pl\ncron: * * * * * echo ran-$HOP3_APP >> $HOP3_DATA_DIR/cron; echo cron-said\n";
    hop.push("site", &probe::with_procfile(&hop, "site", procfile));
    // At most a minute; the log tells of it the moment it happens.
    let mut follow = hop.command(["logs", "-f", "-a", "site"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("cron finished (exit status 0)")));
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert_eq!(inside(&hop, "site", "cat $HOP3_DATA_DIR/cron"), "ran-site\n");
    let logs = hop.hop3(["logs", "-a", "site"]).expect_ok().stdout;
    assert!(logs.contains("cron-said"), "{logs}");
}
