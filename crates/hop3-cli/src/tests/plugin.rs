// SPDX-License-Identifier: Apache-2.0
//! What people read of plugins, and what is asked of the server before and after they agree.

use super::program::hop3;
use super::server::Server;
use expect_test::expect;
use serde_json::{Value, json};

fn gate() -> Value {
    json!({
        "introduction": {
            "name": "gate", "version": "0.1.0", "protocol": 1, "description": "Holds deployments",
            "provides": {
                "commands": [{ "name": "seen", "about": "counts" }],
                "panels": [{ "name": "held", "title": "Held" }],
                "catalog": [{ "name": "blog", "title": "A blog", "git": "https://example.org/blog.git" }]
            },
            "permissions": {
                "network": true, "config": true, "events": ["deployment-failed"],
                "hooks": [
                    { "when": "before", "step": "switch", "required": true },
                    { "when": "after", "step": "build" }
                ]
            }
        },
        "enabled": false, "installed_ms": 0, "last_event": 0
    })
}

#[test]
fn what_a_plugin_wants_is_shown_and_nobody_has_agreed_yet() {
    let server = Server::start(&[("GET /api/plugins/gate", 200, vec![gate().to_string()])]);
    let done = hop3(&server, &["plugin", "enable", "gate"]);
    expect![[r#"
        GET /api/plugins/gate
        --
        plugin gate 0.1.0
        it asks to:
          - reach the network
          - read the config of apps, with its secrets
          - be told of events: deployment-failed
          - be asked before the step switch of deployments; may refuse it, and it does not go on without its answer
          - be asked after the step build of deployments
        error[plugin.not-confirmed]: what is to happen to the plugin "gate" is not confirmed
        hint: in scripts: hop3 plugin enable gate --yes
        exit status 1
    "#]]
    .assert_eq(&format!("{}--\n{}", server.requests(), done.text()));
}

#[test]
fn whoever_agrees_says_again_what_is_allowed() {
    let mut enabled = gate();
    enabled["enabled"] = true.into();
    let server = Server::start(&[
        ("GET /api/plugins/gate", 200, vec![gate().to_string()]),
        ("POST /api/plugins/gate/enable", 200, vec![enabled.to_string()]),
    ]);
    let done = hop3(&server, &["plugin", "enable", "gate", "--yes"]);
    assert!(done.text().contains("the plugin gate is enabled"), "{}", done.text());
    let requests = server.requests();
    assert!(requests.contains("\"network\":true") && requests.contains("\"required\":true"), "{requests}");
}

#[test]
fn plugins_are_a_table() {
    let server = Server::start(&[("GET /api/plugins", 200, vec![json!([gate()]).to_string()])]);
    let done = hop3(&server, &["plugins", "list"]);
    expect![[r#"
        PLUGIN  VERSION  STATE     SIGNED BY  PROVIDES
        gate    0.1.0    disabled  nobody     command seen, panel held, app blog
        exit status 0
    "#]]
    .assert_eq(&done.text());
}

#[test]
fn a_panel_is_a_table_whatever_its_rows_are() {
    let panel = json!({ "columns": ["app", "held"], "rows": [["shop", "1", "more"], ["a\u{1b}[31m"]] });
    let server = Server::start(&[("POST /api/plugins/gate/panel", 200, vec![panel.to_string()])]);
    let done = hop3(&server, &["plugin", "panel", "gate", "seen"]);
    assert!(!done.text().contains('\u{1b}'), "{}", done.text());
    assert!(done.text().starts_with("APP"), "{}", done.text());
    assert!(!done.text().contains("more"), "{}", done.text());
}
