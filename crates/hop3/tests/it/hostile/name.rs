// SPDX-License-Identifier: Apache-2.0
//! Names: of apps, domains, branches, tokens, keys, releases, instances, processes.

use super::{armed, assert_unharmed};
use crate::harness::{Hop, example};
use serde_json::json;

/// No app can have these names.
fn bad_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        ".",
        "..",
        "...",
        "-rf",
        "--help",
        "--upload-pack=touch${IFS}{canary}",
        "a/b",
        "../b",
        "/etc/passwd",
        "a\0b",
        "a\nb",
        "a\r\nX-Injected: 1",
        "a;touch {canary}",
        "a&&touch {canary}",
        "a|touch {canary}",
        "a`touch {canary}`",
        "$(touch {canary})",
        "$(touch${IFS}{canary})",
        "${IFS}",
        "a'b",
        "a\"b",
        "a b",
        "a*",
        "a?",
        "[a]",
        "A",
        "App",
        "аpp",
        "é",
        "e\u{301}",
        "a\u{202e}b",
        "a\u{200d}b",
        "1a",
        ".a",
        "a.",
        "a--b",
        "xn--a",
        "a-",
        "admin",
        "api",
        "www",
        "root",
        "hop3",
        "localhost",
        "default",
        "con",
        "nul",
        "_global",
        "%n",
        "%s",
        "{0}",
        "{{7*7}}",
        "${7*7}",
        "<%= 7*7 %>",
        "'; DROP TABLE app;--",
        "a%2fb",
        "a.git",
        "a\tb",
        "a\u{1b}[31mb",
        "\u{feff}a",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend([40, 64, 255, 256, 4096].map(|length| "a".repeat(length)));
    names
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn no_app_gets_a_hostile_name() {
    let hop = Hop::start();
    for name in bad_names() {
        let name = armed(&hop, &name);
        let made = hop.api("POST", "/api/apps", &json!({ "name": name }).to_string());
        assert_eq!(made.status, 422, "{name:?}: {}", made.text());
        let problem: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
        assert!(problem["title"].as_str().is_some_and(|t| !t.contains(char::is_control)), "{problem}");
        for (method, path, body) in [
            ("GET", "", "{}"),
            ("DELETE", "", "{\"confirm\":\"a\"}"),
            ("POST", "/rename", "{\"name\":\"b\"}"),
            ("POST", "/deployments?create=true", ""),
        ] {
            let path = format!("/api/apps/{}{path}", percent_encoded(&name));
            let answer = hop.api(method, &path, body);
            assert!(
                (400..500).contains(&answer.status),
                "{method} {path}: {} {}",
                answer.status,
                answer.text()
            );
        }
        let git = format!("/git/{}.git/info/refs?service=git-receive-pack", percent_encoded(&name));
        let status = hop.api("GET", &git, "").status;
        assert!((400..500).contains(&status), "{git}: {status}");
        // Arguments cannot hold NUL.
        if !name.contains('\0') {
            let said = hop.hop3(["app", "create", "--", &name]);
            assert!(!said.ok && !said.text.contains(['\u{1b}', '\u{202e}']), "{name:?}: {}", said.text);
        }
        assert_unharmed(&hop, &name);
    }
    assert_eq!(hop.json(["app", "list", "--json"]), json!([]));
    assert_eq!(std::fs::read_dir(hop.root().join("apps")).unwrap().count(), 0);
}

#[test]
fn names_that_are_alike_are_different_apps() {
    let hop = Hop::start();
    for app in ["a", "ab", "a-b"] {
        hop.push(app, &example("apps/procfile-only"));
    }
    hop.hop3(["ps", "stop", "-a", "a"]).expect_ok();
    assert_eq!(["a", "ab", "a-b"].map(|app| hop.get(app, "/").status), [503, 200, 200]);
    hop.hop3(["ps", "start", "-a", "a"]).expect_ok();
    hop.hop3(["app", "destroy", "a", "--confirm", "a"]).expect_ok();
    assert_eq!(["a", "ab", "a-b"].map(|app| hop.get(app, "/").status), [404, 200, 200]);
    assert!(hop.hop3(["logs", "-a", "ab"]).expect_ok().text.contains("deployed"));
}

#[test]
fn no_domain_branch_token_or_key_gets_a_hostile_name() {
    let hop = Hop::start();
    hop.hop3(["app", "create", "site"]).expect_ok();
    let mut names = bad_names();
    // A good domain.
    names.retain(|name| name != "a.git");
    names.extend(
        [
            "*",
            "*.",
            "a.*.b",
            "-a.com",
            "a.com;id",
            "a.com -d evil",
            "a.com\n}server{",
            "a.com/../path",
            "a.com/pa th",
            "a.com/path?query",
            "a.com:80",
            "127.0.0.1",
            "[::1]",
            "a..com",
            "A.com",
            "a.com.",
            "ü.com",
            "x@{-1}",
            "a..b",
            "a.lock.",
            "/a",
            "a~1",
            "a^",
            "a:b",
            "a\\b",
            "@",
        ]
        .map(str::to_owned),
    );
    names.push(format!("{}.com", "a".repeat(64)));
    names.push(format!("{}com", "a.".repeat(126)));
    for name in names {
        let name = armed(&hop, &name);
        let domain = hop.api("POST", "/api/apps/site/domains", &json!({ "domain": name }).to_string());
        assert_eq!(domain.status, 422, "domain {name:?}: {}", domain.text());
        for (method, path, body) in [
            ("PUT", "/api/apps/site/branch", json!({ "branch": name })),
            ("POST", "/api/tokens", json!({ "name": name })),
            ("POST", "/api/keys", json!({ "name": name, "public_key": name })),
            ("POST", "/api/apps/site/scale", json!({ "processes": { name.clone(): 1 } })),
            ("POST", "/api/apps/site/ps", json!({ "action": "restart", "instance": name })),
        ] {
            let answer = hop.api(method, path, &body.to_string());
            // Some are good names of other things; none may upset the server.
            assert!(answer.status < 500, "{method} {path} {name:?}: {} {}", answer.status, answer.text());
        }
        for path in ["domains", "releases"] {
            let path = format!("/api/apps/site/{path}/{}", percent_encoded(&name));
            assert!(hop.api("DELETE", &path, "").status >= 400, "{path}");
            assert!(hop.api("GET", &path, "").status >= 400, "{path}");
        }
        assert_unharmed(&hop, &name);
    }
    let branch = hop.json(["app", "info", "site", "--json"])["deploy_branch"].as_str().unwrap().to_owned();
    assert!(!branch.contains(char::is_control) && !branch.starts_with('-'), "{branch:?}");
    assert_eq!(hop.json(["domain", "list", "-a", "site", "--json"]), json!([]));
}

#[test]
fn bodies_of_the_wrong_shape_are_refused() {
    let hop = Hop::start();
    let deep = "[".repeat(100_000);
    let bodies = [
        "",
        "{",
        "null",
        "[]",
        "{}",
        "\"a\"",
        "{\"name\":null}",
        "{\"name\":[]}",
        "{\"name\":{}}",
        "{\"name\":1}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"name\":\"a\",\"owner\":1}",
        "{\"name\":\"\\ud800\"}",
        &deep,
    ];
    for body in bodies {
        let answer = hop.api("POST", "/api/apps", body);
        let start: String = body.chars().take(40).collect();
        assert_eq!(answer.status, 422, "{start}: {}", answer.text());
    }
    assert_eq!(hop.json(["app", "list", "--json"]), json!([]));
}
