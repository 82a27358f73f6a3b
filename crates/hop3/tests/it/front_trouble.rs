// SPDX-License-Identifier: Apache-2.0
//! Another proxy in front, and something is wrong: apps go on answering, what is wrong is told, and there is a way
//! out.

use crate::front::{APP, behind, bring, choose, curl, is_missing, main_pid};
use crate::harness::{Hop, fixture, skip, until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

const SHOP: &str = "shop.example.org";

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn is_gone(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().is_empty()
}

fn runs(hop: &Hop) -> bool {
    hop.json(["proxy", "status", "--json"])["chosen"]["runs"] == true
}

/// A connection that is upgraded, and stays for as long as both sides want.
fn upgraded(hop: &Hop) -> BufReader<TcpStream> {
    let mut wire = BufReader::new(TcpStream::connect(("127.0.0.1", hop.port)).unwrap());
    let host = format!("{APP}.localhost:{}", hop.port);
    write!(wire.get_mut(), "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        .unwrap();
    let mut line = String::new();
    wire.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 101"), "{line}");
    wire
}

/// Kills every role at once, before one of them can start another again: also those that were replaced and finish.
fn kill_all(hop: &Hop) {
    let root = hop.root().display().to_string();
    let is_role = |pid: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&str> = line.split('\0').collect();
        words.len() > 1 && ["supervise", "proxy"].contains(&words[1]) && words.contains(&root.as_str())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // The server has its root from its environment.
    let server = hop.pid_of("server").map(|pid| pid as i32);
    let roles: Vec<i32> = pids.filter(is_role).chain(server).collect();
    roles.iter().for_each(|pid| signal(*pid, Signal::STOP));
    roles.iter().for_each(|pid| signal(*pid, Signal::KILL));
    until("every role is dead", || ["server", "supervisor", "proxy"].iter().all(|r| hop.pid_of(r).is_none()));
}

#[test]
fn a_product_that_is_chosen_again_stays_known_when_its_former_self_ends() {
    let Some(hop) = behind("nginx") else { return };
    let former = main_pid(&hop, "nginx");
    let wire = upgraded(&hop);
    choose(&hop, "built-in");
    choose(&hop, "nginx");
    assert!(!is_gone(former), "it has a connection still");
    drop(wire);
    until("the former one has ended", || is_gone(former));
    assert!(![0, former].contains(&main_pid(&hop, "nginx")));
    assert!(runs(&hop), "{}", hop.operator_log());
}

#[test]
fn a_product_that_cannot_start_keeps_no_app_from_answering() {
    let Some(mut hop) = behind("nginx") else { return };
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    let folder = hop.root().join("run/proxy/front/tmp");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    hop.boot();
    until("the app answers", || hop.get(APP, "/").status == 200);
    assert!(!runs(&hop));
    let told = hop.hop3(["doctor"]).text;
    let line = told.lines().find(|line| line.contains("connections")).unwrap_or_default();
    assert!(line.contains("nginx") && line.contains("the built-in proxy"), "{told}");
    // What changes meanwhile counts, and a try in vain changes nothing.
    hop.hop3(["domain", "add", SHOP, "-a", APP]).expect_ok();
    assert_eq!(hop.get_host(SHOP, "/").status, 200);
    assert!(!hop.hop3(["proxy", "use", "nginx"]).ok);
    assert_eq!(hop.get_host(SHOP, "/").status, 200);
    // Once it can start, it is asked for again.
    std::fs::remove_file(&folder).unwrap();
    choose(&hop, "nginx");
    assert!(runs(&hop));
    assert_eq!((hop.get(APP, "/").status, hop.get_host(SHOP, "/").status), (200, 200));
}

#[test]
fn a_damaged_choice_is_told_and_chosen_away() {
    let Some(mut hop) = behind("nginx") else { return };
    let damage = || std::fs::write(hop.root().join("front.json"), "{\"product\":").unwrap();
    damage();
    choose(&hop, "built-in");
    assert_eq!(hop.get(APP, "/").status, 200);
    assert_eq!(main_pid(&hop, "nginx"), 0);
    // The same where it is found at a start.
    choose(&hop, "nginx");
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    damage();
    hop.boot();
    until("the app answers", || hop.get(APP, "/").status == 200);
    let told = hop.hop3(["doctor"]).text;
    assert!(told.contains("front.json") && told.contains("hop3 proxy use built-in"), "{told}");
    choose(&hop, "built-in");
    choose(&hop, "nginx");
    assert_eq!(hop.get(APP, "/").status, 200);
}

fn is_found_after_the_death_of_every_role(product: &str, meanwhile: u16) {
    let Some(mut hop) = behind(product) else { return };
    let main = main_pid(&hop, product);
    kill_all(&hop);
    assert_eq!(hop.get(APP, "/").status, meanwhile);
    hop.boot();
    until("it answers behind", || hop.get("nobody", "/").status == 404);
    assert_eq!((main_pid(&hop, product), hop.get(APP, "/").status), (main, 200));
    kill_all(&hop);
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    until("the product has ended", || is_gone(main));
    hop.boot();
    until("the app answers", || hop.get(APP, "/").status == 200);
    assert!(runs(&hop));
}

#[test]
fn nginx_is_found_after_the_death_of_every_role() {
    is_found_after_the_death_of_every_role("nginx", 200);
}

#[test]
fn haproxy_is_found_after_the_death_of_every_role() {
    is_found_after_the_death_of_every_role("haproxy", 200);
}

/// Whatever comes to it waits for the role, and says so when none comes.
#[test]
fn caddy_is_found_after_the_death_of_every_role() {
    is_found_after_the_death_of_every_role("caddy", 502);
}

/// Debian's, say. A program that is installed for the whole machine would be found before the one of this test.
#[test]
fn a_caddy_that_is_too_old_is_refused() {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
    if folders.iter().any(|folder| Path::new(folder).join("caddy").exists()) {
        return skip("front_trouble::a_caddy_that_is_too_old", "another is installed for the machine");
    }
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("old");
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("caddy"), "#!/bin/sh\necho 2.6.2\n").unwrap();
    std::fs::set_permissions(old.join("caddy"), Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", old.display(), std::env::var("PATH").unwrap());
    let variables = vec![("PATH", &*Box::leak(path.into_boxed_str()))];
    let hop = Hop::start_as(directory, env!("CARGO_BIN_EXE_hop3").into(), variables);
    let said = hop.hop3(["proxy", "use", "caddy"]);
    assert!(!said.ok && said.text.contains("proxy.too-old"), "{}", said.text);
    assert!(said.text.contains("caddy 2.6.2 is too old: it must be 2.10 or newer"), "{}", said.text);
    assert!(hop.hop3(["proxy", "status"]).expect_ok().text.starts_with("built-in"));
}

#[test]
fn the_proxy_protocol_is_refused_where_a_product_is_chosen() {
    let Some(mut hop) = behind("nginx") else { return };
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    let http = format!("127.0.0.1:{}", hop.port);
    let said = hop.hop3(["server", "--http", &http, "--proxy-protocol-from", "127.0.0.1"]);
    assert!(!said.ok && said.text.contains("proxy.cannot") && said.text.contains("nginx"), "{}", said.text);
    hop.boot();
    until("the app answers", || hop.get(APP, "/").status == 200);
}

#[test]
fn a_product_that_cannot_be_recorded_does_not_stay() {
    if is_missing("nginx") {
        return;
    }
    let hop = Hop::start();
    let front = hop.root().join("run/proxy/front");
    std::fs::create_dir_all(front.join("nginx.pid.new/in-the-way")).unwrap();
    assert!(!hop.hop3(["proxy", "use", "nginx"]).ok);
    let named = front.display().to_string();
    let is_product = |pid: &str| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("nginx") && line.contains(&named)
    };
    let left = || {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).any(|pid| is_product(&pid))
    };
    until("none is left", || !left());
}

/// A worker that does not let its socket go keeps a reload from being done: it is given up, and stays so.
#[test]
fn a_reload_that_is_given_up_does_not_come_later() {
    let Some(hop) = behind("nginx") else { return };
    let main = main_pid(&hop, "nginx");
    let children = std::fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap();
    let worker: i32 = children.split(' ').next().unwrap().parse().unwrap();
    signal(worker, Signal::STOP);
    let current = || std::fs::read_link(hop.root().join("run/proxy/front/nginx")).unwrap();
    let before = current();
    let mut adding = hop.begin(hop.scratch(), ["domain", "add", SHOP, "-a", APP]);
    until("the reload is under way", || current() != before);
    // Whoever asks meanwhile is answered.
    let asked = Instant::now();
    let status = hop.command(["proxy", "status"]).output().unwrap();
    assert!(status.status.success() && asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert!(adding.try_wait().unwrap().is_none(), "it is under way still");
    assert!(!adding.wait().unwrap().success());
    signal(worker, Signal::CONT);
    until("the former configuration counts", || {
        (0..20).all(|_| hop.get_host(SHOP, "/").status == 404 && hop.get(APP, "/").status == 200)
    });
}

/// What was handed over before a change that is refused is shown all the same.
#[test]
fn a_certificate_is_shown_though_the_next_change_is_refused() {
    if is_missing("nginx") {
        return;
    }
    let hop = Hop::start_secure();
    let https = hop.https.unwrap();
    let repository = hop.repository(APP, &fixture("steady"));
    hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
    choose(&hop, "nginx");
    let workers = hop.root().join("run/proxy/front/workers.conf");
    let text = std::fs::read_to_string(&workers).unwrap();
    std::fs::write(&workers, "nonsense;\n").unwrap();
    let own = bring(&hop, &format!("{APP}.localhost"));
    let said = hop.hop3(["domain", "add", SHOP, "-a", APP]);
    assert!(!said.ok, "{}", said.text);
    std::fs::write(&workers, text).unwrap();
    let url = format!("https://{APP}.localhost:{https}/");
    until("the new certificate is shown", || curl(&own, &url) == "200 2");
}

fn a_host_without_certificate_holds_no_other_up(product: &str) {
    if is_missing(product) {
        return;
    }
    let hop = Hop::start_secure();
    let https = hop.https.unwrap();
    let ca = hop.scratch().join("ca.pem");
    std::fs::write(&ca, hop.hop3(["cert", "ca"]).expect_ok().stdout).unwrap();
    let repository = hop.repository(APP, &fixture("steady"));
    hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
    bring(&hop, SHOP);
    for entry in std::fs::read_dir(hop.root().join("certs").join(SHOP)).unwrap() {
        std::fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    hop.hop3(["domain", "add", SHOP, "-a", APP]).expect_ok();
    choose(&hop, product);
    assert_eq!(curl(&ca, &format!("https://{APP}.localhost:{https}/")), "200 2");
    let refused = curl(&ca, &format!("https://{SHOP}:{https}/"));
    assert!(refused.starts_with("000"), "{refused}");
    assert!(hop.operator_log().contains(SHOP), "{}", hop.operator_log());
}

#[test]
fn a_host_without_certificate_holds_no_other_up_in_nginx() {
    a_host_without_certificate_holds_no_other_up("nginx");
}

#[test]
fn a_host_without_certificate_holds_no_other_up_in_haproxy() {
    a_host_without_certificate_holds_no_other_up("haproxy");
}

#[test]
fn a_host_without_certificate_holds_no_other_up_in_caddy() {
    a_host_without_certificate_holds_no_other_up("caddy");
}

/// How long an answer may take says nothing about a connection that was upgraded.
fn silence_does_not_cut_what_was_upgraded(product: &str) {
    let Some(hop) = behind(product) else { return };
    hop.hop3(["proxy", "set", "response-timeout=1", "idle-timeout=1", "-a", APP]).expect_ok();
    let mut wire = upgraded(&hop);
    // An answer that comes for longer than the other connection may be silent by that limit.
    assert_eq!(hop.get(APP, "/stream").status, 200);
    wire.get_mut().write_all(b"ping\n").unwrap();
    let mut line = String::new();
    while line != "ping\n" {
        line.clear();
        assert!(wire.read_line(&mut line).unwrap() > 0, "it was cut");
    }
}

#[test]
fn silence_does_not_cut_what_was_upgraded_behind_nginx() {
    silence_does_not_cut_what_was_upgraded("nginx");
}

#[test]
fn silence_does_not_cut_what_was_upgraded_behind_haproxy() {
    silence_does_not_cut_what_was_upgraded("haproxy");
}

#[test]
fn silence_does_not_cut_what_was_upgraded_behind_caddy() {
    silence_does_not_cut_what_was_upgraded("caddy");
}
