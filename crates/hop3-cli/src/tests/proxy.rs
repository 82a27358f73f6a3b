// SPDX-License-Identifier: Apache-2.0
//! `proxy`: what is sent for each verb, and what is said.

use super::program::hop3;
use super::server::Server;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

fn check(line: &str, answer: &Value, arguments: &[&str], expected: Expect) {
    let server = Server::start(&[(line, 200, vec![answer.to_string()])]);
    let done = hop3(&server, arguments);
    expected.assert_eq(&format!("{}--\n{}", server.requests(), done.text()));
}

#[test]
fn values_are_sent_as_what_they_are() {
    check(
        "PATCH /api/apps/shop/proxy",
        &json!([]),
        &[
            "proxy",
            "set",
            "sticky=true",
            "canonical-host=example.org",
            "allow=[\"10.0.0.0/8\"]",
            "-a",
            "shop",
        ],
        expect![[r#"
            PATCH /api/apps/shop/proxy {"set":{"allow":["10.0.0.0/8"],"canonical-host":"example.org","sticky":true},"unset":[]}
            --
            shop: 3 keys are set
            exit status 0
        "#]],
    );
    check(
        "PATCH /api/apps/shop/proxy",
        &json!([]),
        &["proxy", "unset", "sticky", "-a", "shop"],
        expect![[r#"
            PATCH /api/apps/shop/proxy {"set":{},"unset":["sticky"]}
            --
            shop: 1 key is as in hop3.toml again
            exit status 0
        "#]],
    );
    check(
        "PATCH /api/apps/shop/proxy",
        &json!([]),
        &["proxy", "pause", "--max-wait", "5", "-a", "shop"],
        expect![[r#"
            PATCH /api/apps/shop/proxy {"set":{"pause.max-wait":5,"pause.on":true},"unset":[]}
            --
            shop: requests wait, each up to 5 s
            exit status 0
        "#]],
    );
}

#[test]
fn what_counts_is_a_table() {
    let entries = json!([
        {"key": "basic-auth.users.ada", "value": "(set)", "from": "set"},
        {"key": "maintenance.retry-after", "value": 300, "from": "file"},
        {"key": "pause.max-wait", "value": 30, "from": "default"},
        {"key": "redirects", "value": [{"from": "/a", "to": "/b"}], "from": "file"}
    ]);
    check(
        "GET /api/apps/shop/proxy",
        &entries,
        &["proxy", "show", "-a", "shop"],
        expect![[r#"
            GET /api/apps/shop/proxy
            --
            KEY                      VALUE                      FROM
            basic-auth.users.ada     (set)                      set
            maintenance.retry-after  300                        hop3.toml
            pause.max-wait           30                         default
            redirects                [{"from":"/a","to":"/b"}]  hop3.toml
            exit status 0
        "#]],
    );
    check(
        "GET /api/apps/shop/proxy",
        &json!([]),
        &["proxy", "show", "-a", "shop"],
        expect![[r#"
        GET /api/apps/shop/proxy
        --
        the proxy does nothing for shop but routing
        exit status 0
    "#]],
    );
    check(
        "GET /api/apps/shop/proxy",
        &json!([]),
        &["proxy", "purge", "-a", "shop"],
        expect![[r#"
        GET /api/apps/shop/proxy
        --
        error[proxy.no-cache]: the proxy keeps no answers of shop
        hint: let it keep some: hop3 proxy set cache.on=true -a shop
        exit status 3
    "#]],
    );
}

#[test]
fn what_is_no_assignment_is_not_sent() {
    let server = Server::start(&[]);
    let done = hop3(&server, &["proxy", "set", "sticky", "-a", "shop"]);
    expect![[r#"
        error[proxy.bad-key]: a key with its value is wanted
        hint: write KEY=VALUE, for example sticky=true
        exit status 1
    "#]]
    .assert_eq(&done.text());
    assert_eq!(server.requests(), "");
}

#[test]
fn another_proxy_is_chosen_and_told() {
    let chosen = json!({
        "driver": "nginx", "version": "1.22.1", "runs": true,
        "passed_on": [{"service": "shop", "why": ["basic-auth", "sleep"]}]
    });
    check(
        "PUT /api/proxy",
        &chosen,
        &["proxy", "use", "nginx"],
        expect![[r#"
            PUT /api/proxy {"driver":"nginx"}
            --
            nginx 1.22.1 accepts connections
            passed on to the built-in proxy: shop (basic-auth, sleep)
            exit status 0
        "#]],
    );
    let report = json!({
        "chosen": chosen, "services": 2, "requests": 3, "in_flight": 1, "unhealthy": ["shop/web.1"], "routes": []
    });
    check(
        "GET /api/proxy",
        &report,
        &["proxy", "status"],
        expect![[r#"
            GET /api/proxy
            --
            nginx 1.22.1 accepts connections
            passed on to the built-in proxy: shop (basic-auth, sleep)
            2 services, 3 requests, 1 under way
            left out: shop/web.1
            exit status 0
        "#]],
    );
}
