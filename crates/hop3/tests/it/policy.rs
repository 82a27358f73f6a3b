// SPDX-License-Identifier: Apache-2.0
//! `[proxy]` end to end: one push with many keys, then requests that show each; then what is set by hand, at once.

use crate::harness::{Answer, Hop, fixture};

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn ask(hop: &Hop, line: &str, headers: &str) -> Answer {
    hop.ask(format!("{line} HTTP/1.1\r\nHost: site.localhost\r\nConnection: close\r\n{headers}\r\n"))
}

#[test]
fn a_push_brings_its_policy_and_commands_change_it_at_once() {
    let hop = Hop::start();
    let repository = hop.push("site", &fixture("policy"));
    what_the_file_says(&hop);
    what_is_set_by_hand(&hop);
    time_limits_and_kept_answers(&hop);
    passwords(&hop);
    pause(&hop);
    // A new release keeps what was set, and still serves the files of the one before.
    set(&hop, &["response-headers.set.X-Extra=1"]);
    repository.git(["mv", "public/one.js", "public/two.js"]).expect_ok();
    repository.commit("second");
    repository.push(&hop.remote("site"), "main").expect_ok();
    assert_eq!(header(&ask(&hop, "GET /", ""), "x-extra"), Some("1"));
    assert_eq!(
        (hop.get("site", "/assets/two.js").status, hop.get("site", "/assets/one.js").status),
        (200, 200)
    );
    // What was set must fit the file that is pushed.
    set(&hop, &["rate-limits=[{requests=5}]"]);
    hop.hop3(["proxy", "unset", "rate-limits", "-a", "site"]).expect_ok();
}

fn what_the_file_says(hop: &Hop) {
    let answer = ask(hop, "GET /old/x?y=1", "");
    assert_eq!((answer.status, header(&answer, "location")), (301, Some("/new/x?y=1")));
    let answer = ask(hop, "GET /v1/x", "X-Stage: forged\r\n");
    assert!(answer.text().starts_with("GET /api/x HTTP/1.1"), "{}", answer.text());
    assert!(answer.text().contains("X-Stage: production") && !answer.text().contains("forged"));
    assert_eq!(header(&answer, "x-frame-options"), Some("DENY"));
    assert_eq!(ask(hop, "GET /login", "").status, 200);
    assert_eq!(ask(hop, "GET /login", "").status, 429);
    assert_eq!(ask(hop, "POST /", "Content-Length: 2000\r\n").status, 413);
    let answer = ask(hop, "GET /broken", "");
    assert_eq!((answer.status, answer.text().trim()), (500, "<p>We have been told."));
    let answer = ask(hop, "GET /", "Accept-Encoding: gzip\r\n");
    assert_eq!(header(&answer, "content-encoding"), Some("gzip"));
}

fn set(hop: &Hop, pairs: &[&str]) {
    hop.hop3(["proxy", "set", "-a", "site"].iter().chain(pairs)).expect_ok();
}

fn what_is_set_by_hand(hop: &Hop) {
    let release = hop.json(["app", "info", "site", "--json"])["release"].clone();
    set(hop, &["maintenance.on=true", "maintenance.retry-after=7"]);
    let answer = ask(hop, "GET /", "");
    assert_eq!((answer.status, answer.text().trim()), (503, "Back at noon"));
    assert_eq!(header(&answer, "retry-after"), Some("7"));
    let shown = hop.hop3(["proxy", "show", "-a", "site"]).expect_ok().stdout;
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(
        line("maintenance.on").ends_with("set") && line("maintenance.text").ends_with("hop3.toml"),
        "{shown}"
    );
    hop.hop3(["proxy", "unset", "maintenance.on", "maintenance.retry-after", "-a", "site"]).expect_ok();
    assert_eq!(ask(hop, "GET /", "").status, 200);
    assert_eq!(hop.json(["app", "info", "site", "--json"])["release"], release);
    for (pair, code) in [
        ("stikcy=true", "config.unknown-key"),
        ("response-headers.set.X-A=\"a\\r\\nb\"", "config.bad-header"),
        ("nonsense", "proxy.bad-key"),
        ("allow=everybody", "config.bad-network"),
    ] {
        let refused = hop.hop3(["proxy", "set", pair, "-a", "site"]);
        assert!(!refused.ok && refused.text.contains(code), "{}", refused.text);
    }
    let refused = hop.hop3(["proxy", "unset", "sticky", "-a", "site"]);
    assert!(refused.text.contains("proxy.not-set"), "{}", refused.text);
    assert_eq!(ask(hop, "GET /", "").status, 200);
}

fn time_limits_and_kept_answers(hop: &Hop) {
    set(hop, &["response-timeout=1", "cache.on=true"]);
    assert_eq!(ask(hop, "GET /never", "").status, 504);
    let status = || header(&ask(hop, "GET /fresh", ""), "cache-status").map(str::to_owned);
    assert_eq!((status(), status().as_deref()), (None, Some("hop3; hit")));
    hop.hop3(["proxy", "purge", "-a", "site"]).expect_ok();
    assert_eq!((status(), status().as_deref()), (None, Some("hop3; hit")));
    hop.hop3(["proxy", "unset", "cache.on", "cache.purged", "response-timeout", "-a", "site"]).expect_ok();
    let none = hop.hop3(["proxy", "purge", "-a", "site"]);
    assert!(none.text.contains("proxy.no-cache"), "{}", none.text);
}

fn passwords(hop: &Hop) {
    set(hop, &["basic-auth.users.ada=correct horse"]);
    assert_eq!(ask(hop, "GET /", "").status, 401);
    assert_eq!(ask(hop, "GET /", "Authorization: Basic YWRhOmNvcnJlY3QgaG9yc2U=\r\n").status, 200);
    let shown = hop.hop3(["proxy", "show", "-a", "site", "--json"]).expect_ok().stdout;
    assert!(!shown.contains("correct horse") && !shown.contains("argon2"), "{shown}");
    for file in ["hop3.db", "hop3.db-wal", "run/proxy/table.json"] {
        let bytes = std::fs::read(hop.root().join(file)).unwrap_or_default();
        assert!(!bytes.windows(13).any(|piece| piece == b"correct horse"), "{file}");
    }
    hop.hop3(["proxy", "unset", "basic-auth.users.ada", "-a", "site"]).expect_ok();
    assert_eq!(ask(hop, "GET /", "").status, 200);
}

fn pause(hop: &Hop) {
    hop.hop3(["proxy", "pause", "--max-wait", "1", "-a", "site"]).expect_ok();
    assert_eq!(ask(hop, "GET /", "").status, 503);
    hop.hop3(["proxy", "pause", "--max-wait", "60", "-a", "site"]).expect_ok();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(hop, "GET /", "").status);
        hop.hop3(["proxy", "resume", "-a", "site"]).expect_ok();
        assert_eq!(waiting.join().unwrap(), 200);
    });
    let shown = hop.hop3(["proxy", "show", "-a", "site"]).expect_ok().stdout;
    assert!(!shown.contains("pause"), "{shown}");
}

#[test]
fn apps_share_a_domain_by_path() {
    let hop = Hop::start();
    hop.push("site", &fixture("policy"));
    hop.push("backend", &fixture("policy"));
    hop.hop3(["domain", "add", "example.org", "-a", "site"]).expect_ok();
    hop.hop3(["domain", "add", "example.org/api", "-a", "backend"]).expect_ok();
    hop.hop3(["proxy", "set", "response-headers.set.X-App=api", "-a", "backend"]).expect_ok();
    let app = |path: &str| header(&hop.get_host("example.org", path), "x-app").map(str::to_owned);
    assert_eq!((app("/api/x").as_deref(), app("/apix")), (Some("api"), None));
    assert_eq!(hop.hop3(["domain", "list", "-a", "backend"]).expect_ok().stdout, "example.org/api\n");
    let taken = hop.hop3(["domain", "add", "example.org/api", "-a", "site"]);
    assert!(!taken.ok && taken.text.contains("domain.taken"), "{}", taken.text);
    let made = hop.json(["token", "create", "ci", "-a", "site", "--json"]);
    let body = r#"{"domain": "example.org/login"}"#;
    let refused = hop.ask(format!(
        "POST /api/apps/site/domains HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        made["token"].as_str().unwrap(),
        body.len()
    ));
    assert_eq!(refused.status, 403);
    hop.hop3(["domain", "remove", "example.org/api", "-a", "backend"]).expect_ok();
    assert_eq!(app("/api/x"), None);
}

/// A new version beside the old one, for those who ask for it, then for all.
#[test]
fn an_app_is_tried_out_by_some_of_the_visitors_of_another() {
    let hop = Hop::start();
    hop.push("site", &fixture("steady"));
    let next = hop.repository("next", &fixture("steady"));
    let release = |version: &str| {
        next.write("version", version);
        next.commit(version);
        next.push(&hop.remote("next"), "main").expect_ok();
    };
    let version = |headers: &str| {
        let text = ask(&hop, "GET /", headers).text();
        text.split("version=").nth(1).and_then(|rest| rest.split_whitespace().next()).map(str::to_owned)
    };
    // The other may come later.
    set(&hop, &["canary.app=next", "canary.header=X-Canary", "canary.percent=0"]);
    let old = version("");
    assert_eq!(version("X-Canary: always\r\n"), old);
    release("2.0");
    assert_eq!((version("X-Canary: always\r\n").as_deref(), version("")), (Some("2.0"), old.clone()));
    // It is deployed and stopped as any app is.
    release("2.1");
    set(&hop, &["canary.percent=100"]);
    assert_eq!((version("").as_deref(), version("X-Canary: never\r\n")), (Some("2.1"), old.clone()));
    hop.hop3(["ps", "stop", "-a", "next"]).expect_ok();
    assert_eq!(version(""), old);
    hop.hop3(["ps", "start", "-a", "next"]).expect_ok();
    assert_eq!(version("").as_deref(), Some("2.1"));
    // What it asks of its own visitors nobody gets past.
    hop.hop3(["proxy", "set", "allow=192.0.2.1", "-a", "next"]).expect_ok();
    assert_eq!(version(""), old);
    let refused = hop.hop3(["proxy", "set", "canary.percent=101", "-a", "site"]);
    assert!(!refused.ok && refused.text.contains("0 to 100"), "{}", refused.text);
}
