// SPDX-License-Identifier: Apache-2.0
//! `[proxy.waf]` end to end: the real filter with the real rules before a real app.

use crate::harness::{Answer, Hop, fixture, skip, until};
use std::process::Command;

pub(crate) const ATTACK: &str = "/item?id=1'%20OR%20'1'='1";

pub(crate) fn set(hop: &Hop, pairs: &[&str]) {
    hop.hop3(["proxy", "set", "-a", "site"].iter().chain(pairs)).expect_ok();
}

fn post(hop: &Hop, framing: &str, body: &str) -> Answer {
    hop.ask(format!(
        "POST /comment HTTP/1.1\r\nHost: site.localhost\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n{framing}\r\nConnection: close\r\n\r\n{body}"
    ))
}

fn form(hop: &Hop, body: &str) -> Answer {
    post(hop, &format!("Content-Length: {}", body.len()), body)
}

/// The filter beside the program, as the feature of its crate builds it.
pub(crate) fn is_there(name: &str) -> bool {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_hop3")).with_file_name("hop3-waf");
    let works = Command::new(program).arg("--check").output().is_ok_and(|output| output.status.success());
    if !works {
        skip(name, "there is no hop3-waf, or no modsecurity-crs");
    }
    works
}

#[test]
fn attacks_are_noted_or_stopped() {
    if !is_there("attacks_are_noted_or_stopped") {
        return;
    }
    let hop = Hop::start();
    hop.push("site", &fixture("policy"));
    assert_eq!(hop.get("site", ATTACK).status, 200);
    set(&hop, &["waf.mode=detect"]);
    assert_eq!(hop.get("site", ATTACK).status, 200);
    set(&hop, &["waf.mode=block", "max-body-size=1m"]);
    let stopped = hop.get("site", ATTACK);
    assert_eq!(stopped.status, 403);
    assert!(stopped.text().contains("Number: "), "{}", stopped.text());
    bodies(&hop);
    // What an app leaves out.
    set(&hop, &["waf.except=[\"/item\"]"]);
    assert_eq!(hop.get("site", ATTACK).status, 200);
    hop.hop3(["proxy", "unset", "waf.except", "-a", "site"]).expect_ok();
    set(&hop, &["waf.without=[942100]"]);
    assert_eq!(hop.get("site", ATTACK).status, 200);
    hop.hop3(["proxy", "unset", "waf.without", "-a", "site"]).expect_ok();
    let doctor = hop.hop3(["doctor"]).text;
    assert!(doctor.lines().any(|line| line.starts_with("ok") && line.contains("request filter")), "{doctor}");
    noted(&hop);
}

/// Read by the filter first, and by the app all the same.
fn bodies(hop: &Hop) {
    let attack = "text=%3Cscript%3Ealert%281%29%3C%2Fscript%3E";
    let ordinary = "text=Gr%C3%BC%C3%9Fe+aus+K%C3%B6ln";
    assert_eq!((form(hop, attack).status, form(hop, ordinary).status), (403, 200));
    let chunked = |size: usize, body: &str| {
        let pieces: String = body
            .as_bytes()
            .chunks(size)
            .map(|c| format!("{:x}\r\n{}\r\n", c.len(), String::from_utf8_lossy(c)))
            .collect();
        post(hop, "Transfer-Encoding: chunked", &format!("{pieces}0\r\n\r\n"))
    };
    assert_eq!((chunked(7, attack).status, chunked(7, ordinary).status), (403, 200));
    // Longer than what is looked at, and the log says so.
    let long = format!("text={}", "lorem+ipsum+".repeat(30_000));
    assert_eq!(form(hop, &long).status, 200);
    until("the log tells what was not seen", || log(hop).contains("\"waf\":\"cut\""));
    // Framing of this kind is there to keep the rest from being looked at.
    assert_eq!(chunked(1, &long[..60_000]).status, 403);
}

fn log(hop: &Hop) -> String {
    std::fs::read_to_string(hop.root().join("logs/@proxy/requests.jsonl")).unwrap_or_default()
}

/// The access log has a line for each of them, with the rules.
fn noted(hop: &Hop) {
    let found = |what: &str| {
        log(hop).lines().any(|line| line.contains(&format!("\"waf\":\"{what}\"")) && line.contains("942100"))
    };
    until("the log names the rules", || found("detected") && found("blocked"));
}

/// `block` lets nothing pass that nobody has looked at; `detect` does.
#[test]
fn without_a_filter_nothing_passes_that_should_be_blocked() {
    if !is_there("without_a_filter_nothing_passes_that_should_be_blocked") {
        return;
    }
    let hop = Hop::start();
    hop.push("site", &fixture("policy"));
    set(&hop, &["waf.mode=block"]);
    assert_eq!(hop.get("site", "/").status, 200);
    let wanted = hop.root().join("run/waf/wanted");
    let arguments = std::fs::read(&wanted).unwrap();
    std::fs::remove_file(&wanted).unwrap();
    let pid = std::fs::read_to_string(hop.root().join("run/waf/lock")).unwrap();
    Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap();
    until("the filter is away", || hop.get("site", "/").status == 503);
    set(&hop, &["waf.mode=detect"]);
    assert_eq!(hop.get("site", ATTACK).status, 200);
    // As soon as it may live, it is started again.
    std::fs::write(&wanted, arguments).unwrap();
    set(&hop, &["waf.mode=block"]);
    until("the filter is back", || hop.get("site", "/").status == 200);
    assert_eq!(hop.get("site", ATTACK).status, 403);
}
