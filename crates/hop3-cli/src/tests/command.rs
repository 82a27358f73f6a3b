// SPDX-License-Identifier: Apache-2.0
//! One test per thing a user reads: the request that was sent, the text that came out, the exit status.

use super::program::hop3;
use super::server::Server;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// Runs a command against one answer; expects the request and the output.
pub(super) fn check(line: &str, answer: Value, arguments: &[&str], expected: Expect) {
    let server = Server::start(&[(line, 200, vec![answer.to_string()])]);
    let done = hop3(&server, arguments);
    expected.assert_eq(&format!("{}--\n{}", server.requests(), done.text()));
}

fn app_info() -> Value {
    json!({
        "name": "shop", "state": "running", "release": 3, "url": "http://shop.localhost:8080",
        "git_url": "http://localhost:8080/git/shop.git", "deploy_branch": "main", "domains": ["shop.example.org"],
        "scale": {"web": 2}, "created_ms": 0,
        "instances": [{
            "id": "web.v3.1", "app": "shop", "process": "web", "release": 3, "state": "running", "pid": 4711,
            "address": "127.0.0.1:5001", "started_ms": 0, "restarts": 0
        }]
    })
}

#[test]
fn app_list_is_a_table() {
    check(
        "GET /api/apps",
        json!([
            {"name": "shop", "state": "running", "release": 3, "url": "http://shop.localhost", "created_ms": 0},
            {"name": "a", "state": "new", "release": null, "url": "http://a.localhost", "created_ms": 86_400_000_u64}
        ]),
        &["app", "list"],
        expect![[r#"
            GET /api/apps
            --
            APP   STATE    RELEASE  CREATED              URL
            shop  running  v3       1970-01-01 00:00:00  http://shop.localhost
            a     new      -        1970-01-02 00:00:00  http://a.localhost
            exit status 0
        "#]],
    );
}

#[test]
fn app_info_shows_instances() {
    check(
        "GET /api/apps/shop",
        app_info(),
        &["app", "info", "shop"],
        expect![[r#"
        GET /api/apps/shop
        --
        app      shop
        state    running
        release  v3
        url      http://shop.localhost:8080
        git url  http://localhost:8080/git/shop.git
        branch   main
        domains  shop.example.org
        scale    web=2
        created  1970-01-01 00:00:00

        INSTANCE  PROCESS  RELEASE  STATE    PID   ADDRESS         STARTED              RESTARTS  LAST EXIT
        web.v3.1  web      v3       running  4711  127.0.0.1:5001  1970-01-01 00:00:00  0         -
        exit status 0
    "#]],
    );
}

#[test]
fn app_info_as_json_is_the_answer_of_the_api() {
    let server = Server::start(&[("GET /api/apps/shop", 200, vec![app_info().to_string()])]);
    let done = hop3(&server, &["app", "info", "shop", "--json"]);
    let read: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(read["instances"][0]["pid"], 4711);
    assert_eq!(read["url"], "http://shop.localhost:8080");
    assert_eq!(done.status, 0);
}

#[test]
fn ps_lists_instances() {
    check(
        "GET /api/apps/shop",
        app_info(),
        &["ps", "-a", "shop"],
        expect![[r#"
        GET /api/apps/shop
        --
        INSTANCE  PROCESS  RELEASE  STATE    PID   ADDRESS         STARTED              RESTARTS  LAST EXIT
        web.v3.1  web      v3       running  4711  127.0.0.1:5001  1970-01-01 00:00:00  0         -
        exit status 0
    "#]],
    );
}

#[test]
fn ps_stop_tells_what_it_did() {
    check(
        "POST /api/apps/shop/ps",
        Value::Null,
        &["ps", "stop", "-a", "shop"],
        expect![[r#"
        POST /api/apps/shop/ps {"action":"stop","instance":null}
        --
        shop stopped
        exit status 0
    "#]],
    );
}

#[test]
fn ps_takes_the_app_before_the_verb_too() {
    let server = Server::start(&[("POST /api/apps/shop/ps", 200, vec![])]);
    assert_eq!(hop3(&server, &["ps", "-a", "shop", "start"]).status, 0);
}

#[test]
fn restart_names_the_instance() {
    check(
        "POST /api/apps/shop/ps",
        Value::Null,
        &["restart", "web.v3.1", "-a", "shop"],
        expect![[r#"
        POST /api/apps/shop/ps {"action":"restart","instance":"web.v3.1"}
        --
        web.v3.1 restarted
        exit status 0
    "#]],
    );
}

#[test]
fn scale_sends_whole_numbers() {
    let arguments = ["scale", "web=3", "worker=0", "-a", "shop"];
    check(
        "POST /api/apps/shop/scale",
        Value::Null,
        &arguments,
        expect![[r#"
        POST /api/apps/shop/scale {"processes":{"web":3,"worker":0}}
        --
        shop is scaled to web=3 worker=0
        exit status 0
    "#]],
    );
}

#[test]
fn scale_sends_ranges_and_times() {
    let arguments = ["scale", "web=0..3", "--freeze-after", "90s", "--stop-after", "2h", "-a", "shop"];
    check(
        "POST /api/apps/shop/scale",
        Value::Null,
        &arguments,
        expect![[r#"
        POST /api/apps/shop/scale {"processes":{},"ranges":{"web":{"least":0,"most":3}},"sleep":{"freeze_after_secs":90,"stop_after_secs":7200}}
        --
        shop is scaled to web=0..3
        exit status 0
    "#]],
    );
}

#[test]
fn scale_without_arguments_shows() {
    check(
        "GET /api/apps/shop",
        app_info(),
        &["scale", "-a", "shop"],
        expect![[r#"
        GET /api/apps/shop
        --
        PROCESS  INSTANCES
        web      2
        exit status 0
    "#]],
    );
}

#[test]
fn rollback_tells_the_new_release() {
    let arguments = ["rollback", "v2", "-a", "shop"];
    check(
        "POST /api/apps/shop/rollback",
        json!({"release": 4}),
        &arguments,
        expect![[r#"
        POST /api/apps/shop/rollback {"to":2}
        --
        shop v4, a copy of v2, is live
        exit status 0
    "#]],
    );
}

#[test]
fn release_list_marks_the_current_one() {
    let release = |number: u32, current: bool| {
        json!({"number": number, "current": current, "reason": "Deploy upload", "builder": "python",
            "source": "upload", "processes": {"web": "gunicorn app:app"}, "config_keys": ["DEBUG"], "created_ms": 0})
    };
    let answer = json!([release(1, false), release(2, true)]);
    check(
        "GET /api/apps/shop/releases",
        answer,
        &["release", "list", "-a", "shop"],
        expect![[r#"
        GET /api/apps/shop/releases
        --
        RELEASE           CREATED              SOURCE  REASON
        v2       current  1970-01-01 00:00:00  upload  Deploy upload
        v1                1970-01-01 00:00:00  upload  Deploy upload
        exit status 0
    "#]],
    );
}

#[test]
fn logs_are_ordered_lines_without_terminal_tricks() {
    let answer = json!([
        {"time_ms": 0, "origin": "build", "source": "build", "text": "Collecting flask"},
        {"time_ms": 1000, "origin": "app", "source": "web.v3.1", "text": "\u{1b}[2J\u{1b}]0;owned\u{7}GET / 200"},
        {"time_ms": 2000, "origin": "platform", "source": "hop3", "text": "web.v3.1 started"}
    ]);
    let arguments = ["logs", "-a", "shop", "-n", "3", "--process", "web"];
    check(
        "GET /api/apps/shop/logs?n=3&process=web",
        answer,
        &arguments,
        expect![[r#"
            GET /api/apps/shop/logs?n=3&process=web
            --
            1970-01-01 00:00:00 build     | Collecting flask
            1970-01-01 00:00:01 web.v3.1  | GET / 200
            1970-01-01 00:00:02 hop3      | web.v3.1 started
            exit status 0
        "#]],
    );
}

#[test]
fn a_followed_log_ends_with_the_connection_and_says_so() {
    let line = r#"{"time_ms":0,"origin":"app","source":"web.v3.1","text":"hello"}"#;
    let chunks =
        vec![format!("data: {line}\n\n"), ": keep-alive\n\n".to_owned(), format!("data: {line}\n\n")];
    let server = Server::start(&[("GET /api/apps/shop/logs?follow=true", 200, chunks)]);
    expect![[r#"
        1970-01-01 00:00:00 web.v3.1  | hello
        1970-01-01 00:00:00 web.v3.1  | hello
        error[cli.log-cut]: the server ended the log
          it may be restarting; lines from now on are not shown here
        hint: follow it again with: hop3 logs -f
        exit status 6
    "#]]
    .assert_eq(&hop3(&server, &["logs", "-f", "-a", "shop"]).text());
}

#[test]
fn domains_are_added_and_removed() {
    check(
        "POST /api/apps/shop/domains",
        Value::Null,
        &["domain", "add", "shop.example.org", "-a", "shop"],
        expect![[r#"
            POST /api/apps/shop/domains {"domain":"shop.example.org"}
            --
            shop answers shop.example.org
            exit status 0
        "#]],
    );
    let remove = ["domain", "remove", "*.example.org", "-a", "shop"];
    check(
        "DELETE /api/apps/shop/domains/%2A.example.org",
        Value::Null,
        &remove,
        expect![[r#"
        DELETE /api/apps/shop/domains/%2A.example.org
        --
        shop no longer answers *.example.org
        exit status 0
    "#]],
    );
}

#[test]
fn a_token_is_printed_alone() {
    let answer = json!({"name": "laptop", "token": "hop3_abc"});
    check(
        "POST /api/tokens",
        answer,
        &["token", "create", "laptop"],
        expect![[r#"
        POST /api/tokens {"name":"laptop","app":null}
        --
        hop3_abc
        exit status 0
    "#]],
    );
}

#[test]
fn a_token_of_any_name_is_one_segment_of_the_path() {
    check(
        "DELETE /api/tokens/..%2Fapps%2Fshop",
        Value::Null,
        &["token", "revoke", "../apps/shop"],
        expect![[r#"
            DELETE /api/tokens/..%2Fapps%2Fshop
            --
            token ../apps/shop is revoked
            exit status 0
        "#]],
    );
}

#[test]
fn destroy_in_a_script_needs_the_name() {
    let server = Server::start(&[("DELETE /api/apps/shop", 200, vec![])]);
    let refused = hop3(&server, &["app", "destroy", "shop", "--confirm", "shopp"]);
    let done = hop3(&server, &["app", "destroy", "shop", "--confirm", "shop"]);
    expect![[r#"
        error[cli.not-confirmed]: what was to happen to shop is not confirmed
          nothing was changed
        hint: type its name when asked, or add: --confirm shop
        exit status 1
        shop is destroyed
        exit status 0
        DELETE /api/apps/shop {"confirm":"shop"}
    "#]]
    .assert_eq(&format!("{}{}{}", refused.text(), done.text(), server.requests()));
}

#[test]
fn server_stop_says_what_is_left() {
    check(
        "POST /api/server/stop",
        Value::Null,
        &["server", "stop", "--all"],
        expect![[r#"
        POST /api/server/stop {"all":true}
        --
        the server, the proxy and all apps are stopped
        exit status 0
    "#]],
    );
}

#[test]
fn build_plan_needs_no_server() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&[]);
    let done = hop3(&server, &["build", "plan", directory.path().to_str().unwrap()]);
    expect![[r#"
        builder: static (index.html is there)
        exit status 0
    "#]]
    .assert_eq(&done.text());
    assert!(server.seen().is_empty());
}

#[test]
fn doctor_without_a_server_checks_this_machine() {
    let (server, listener) = Server::bare();
    drop(listener);
    let text = hop3(&server, &["doctor"]).text().replace(server.root().to_str().unwrap(), "ROOT");
    expect![[r#"
        missing  server            the server at ROOT/run/server/api.sock does not answer
        reduced  cgroup            no v2
        exit status 1
    "#]]
    .assert_eq(&text);
}

#[test]
fn acme_set_sends_what_is_named_and_shows_no_secret() {
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "c2VjcmV0\n").unwrap();
    let key = key.path().to_str().unwrap();
    check(
        "PATCH /api/acme",
        json!({
            "on": false, "agreed": false, "contact": ["ada@example.org"], "challenge": "dns-01",
            "dns": "192.0.2.53:53 with key hop3",
            "authorities": [
                {"name": "letsencrypt", "directory": "https://acme-v02.api.letsencrypt.org/directory", "own_root": false},
                {"name": "zerossl", "directory": "https://acme.zerossl.com/v2/DV90", "eab_kid": "k1", "own_root": false}
            ]
        }),
        &[
            "cert",
            "acme",
            "set",
            "--ca",
            "letsencrypt",
            "--ca",
            "zerossl",
            "--eab-kid",
            "k1",
            "--eab-hmac",
            key,
            "--challenge",
            "dns-01",
            "--dns-server",
            "192.0.2.53",
            "--dns-key-name",
            "hop3",
            "--dns-key",
            key,
        ],
        expect![[r#"
            PATCH /api/acme {"authorities":["letsencrypt","zerossl"],"eab":{"kid":"k1","hmac":"c2VjcmV0"},"challenge":"dns-01","dns":{"update":{"server":"192.0.2.53:53","key-name":"hop3","key":"c2VjcmV0"}}}
            --
            obtains certificates  no: agree to the terms of service with: hop3 cert acme set --agree-tos
            authority             letsencrypt
            authority             zerossl, bound to account k1
            contact               ada@example.org
            challenge             dns-01
            DNS                   192.0.2.53:53 with key hop3
            exit status 0
        "#]],
    );
}
