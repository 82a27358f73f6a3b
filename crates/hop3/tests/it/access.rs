// SPDX-License-Identifier: Apache-2.0
//! Who may call what: every path of the API document against every kind of caller. Deny is the default.

use crate::harness::{Hop, example};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

/// Paths anybody may read.
const PUBLIC: &[&str] = &["GET /api/openapi.json", "GET /health"];

/// What a token for one app may not do to it, and what it may do beyond it.
const NOT_FOR_APP_TOKENS: &[&str] =
    &["DELETE /api/apps/{app}", "POST /api/apps/{app}/clone", "POST /api/apps/{app}/rename"];
const BEYOND_THE_APP: &[&str] = &["GET /api/server"];

fn endpoints(hop: &Hop) -> Vec<(String, String)> {
    let document: Value =
        serde_json::from_slice(&hop.ask(request("GET", "/api/openapi.json", None, "")).body).unwrap();
    let mut endpoints = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|m| *m != "parameters") {
            endpoints.push((method.to_uppercase(), path.clone()));
        }
    }
    assert!(endpoints.len() > 25, "{endpoints:?}");
    endpoints
}

fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn filled(path: &str, app: &str) -> String {
    path.replace("{app}", app)
        .replace("{number}", "1")
        .replace("{domain}", "a.example.org")
        .replace("{name}", "nobody")
}

fn token(hop: &Hop, name: &str, app: &str) -> String {
    hop.json(["token", "create", name, "-a", app, "--json"])["token"].as_str().unwrap().to_owned()
}

#[test]
fn every_path_denies_whoever_has_no_right_to_it() {
    let hop = Hop::start();
    for app in ["one", "two"] {
        hop.push(app, &example("apps/static-hello"));
    }
    let (one, two) = (token(&hop, "one", "one"), token(&hop, "two", "two"));
    let revoked = token(&hop, "revoked", "one");
    hop.hop3(["token", "revoke", "revoked"]).expect_ok();
    for (method, path) in endpoints(&hop) {
        let name = format!("{method} {path}");
        let of_one = filled(&path, "one");
        let ask = |path: &str, token| hop.ask(request(&method, path, token, "{}"));
        let public = PUBLIC.contains(&name.as_str());
        let strangers = [
            None,
            Some("hop3_wrong"),
            Some(""),
            Some(revoked.as_str()),
            Some("' OR 1=1 --"),
            Some("one"),
            Some("test"),
        ];
        for token in strangers {
            let answer = ask(&of_one, token);
            assert_eq!(answer.status == 403, !public, "{name} with {token:?}: {}", answer.text());
            assert!(public || answer.text().contains("\"auth."), "{name} with {token:?}: {}", answer.text());
        }
        let beyond = public || BEYOND_THE_APP.contains(&name.as_str());
        let other = ask(&of_one, Some(&two));
        assert_eq!(other.status == 403, !beyond, "{name} with another app's token: {}", other.text());
        let may = beyond || (path.contains("{app}") && !NOT_FOR_APP_TOKENS.contains(&name.as_str()));
        let own = ask(&of_one, Some(&one));
        assert_eq!(own.status != 403, may, "{name} with the app's own token: {} {}", own.status, own.text());
    }
    assert_eq!(hop.json(["app", "list", "--json"]).as_array().unwrap().len(), 2);
}

#[test]
fn odd_spellings_of_a_path_do_not_pass_the_check() {
    let hop = Hop::start();
    for app in ["one", "two"] {
        hop.push(app, &example("apps/static-hello"));
    }
    let one = token(&hop, "one", "one");
    for path in [
        "/api/apps/one/../two",
        "/api/apps/one/%2e%2e/two",
        "/api//apps/two",
        "//api/apps/two",
        "/API/apps/two",
        "/api/apps/two/",
        "/api/apps/one%2f..%2ftwo",
        "/api/apps/%74wo",
        "/./api/apps/two",
        "/api/apps/two?app=one",
        "/api/apps/one/;/../../two",
        "/api\\apps\\two",
        "/%61pi/apps/two",
        "/api/apps/two%00",
        "/health/../api/apps/two",
        "/api/openapi.json/../apps/two",
        "/git/../api/apps/two",
    ] {
        for token in [None, Some(one.as_str())] {
            let answer = hop.ask(request("GET", path, token, ""));
            assert!(answer.status >= 400, "{path} with {token:?}: {}", answer.text());
            let deleted = hop.ask(request("DELETE", path, token, "{\"confirm\":\"two\"}"));
            assert!(deleted.status >= 400, "{path} with {token:?}: {}", deleted.text());
        }
    }
    assert_eq!(hop.get("two", "/").status, 200);
}

#[test]
fn a_token_for_one_app_sees_that_app_alone_through_git() {
    let hop = Hop::start();
    for app in ["one", "two"] {
        hop.push(app, &example("apps/static-hello"));
    }
    let one = token(&hop, "one", "one");
    for service in ["git-upload-pack", "git-receive-pack"] {
        for (app, status) in [("one", 200), ("two", 403), ("three", 403)] {
            let path = format!("/git/{app}.git/info/refs?service={service}");
            assert_eq!(hop.ask(request("GET", &path, Some(&one), "")).status, status, "{path}");
            assert_eq!(hop.ask(request("GET", &path, None, "")).status, 401, "{path}");
        }
    }
    assert_eq!(hop.json(["app", "list", "--json"]).as_array().unwrap().len(), 2);
}

#[test]
fn a_fetch_makes_nothing() {
    let hop = Hop::start();
    hop.hop3(["app", "create", "site"]).expect_ok();
    let clone = hop.repository("clone", &example("apps/static-hello"));
    let fetched = clone.git(["fetch", &hop.remote("site")]);
    assert!(!fetched.ok, "{}", fetched.text);
    assert!(!hop.root().join("apps/site/repo.git").exists());
    // Once pushed, a clone checks out the deploy branch, whichever it is.
    clone.push(&hop.remote("site"), "main").expect_ok();
    hop.hop3(["app", "branch", "topic", "-a", "site"]).expect_ok();
    clone.push(&hop.remote("site"), "main:topic").expect_ok();
    let cloned = hop.scratch().join("cloned");
    clone.git(["clone", "--quiet", &hop.remote("site"), cloned.to_str().unwrap()]).expect_ok();
    assert_eq!(std::fs::read_to_string(cloned.join(".git/HEAD")).unwrap(), "ref: refs/heads/topic\n");
}

/// Connects as another user, with nothing but perl between the socket and us. Only control connections are closed on
/// our side: HTTP ends by itself, and its server takes a half-closed connection for a client that left.
fn ask_as(uid: u32, socket: &std::path::Path, request: &str) -> String {
    let program = "use IO::Socket::UNIX; $) = $( = $ARGV[1]; $< = $> = $ARGV[1]; \
                   my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or do { print \"not connected: $!\"; exit }; \
                   local $/; print $s <STDIN>; \
                   $s->shutdown(1) if $ARGV[0] =~ /control/; print <$s>";
    let mut perl = std::process::Command::new("perl")
        .args(["-e", program])
        .arg(socket)
        .arg(uid.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    perl.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    let mut said = String::new();
    perl.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    perl.wait().unwrap();
    said
}

#[test]
fn the_sockets_know_who_connects() {
    let hop = Hop::start();
    let api = hop.root().join("run/server/api.sock");
    let list = "GET /api/apps HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut own = UnixStream::connect(&api).unwrap();
    own.write_all(list.as_bytes()).unwrap();
    let mut said = String::new();
    own.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // However open the way to them is made, the sockets themselves refuse.
    for path in ["", "run", "run/server", "run/proxy", "run/supervisor"] {
        let path = hop.root().join(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(hop.scratch(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let closed = ask_as(65534, &api, list);
    assert!(closed.starts_with("HTTP/1.1 403") || closed.starts_with("not connected"), "{closed}");
    for socket in [
        "run/server/api.sock",
        "run/server/http.sock",
        "run/proxy/control.sock",
        "run/supervisor/control.sock",
    ] {
        std::fs::set_permissions(hop.root().join(socket), std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let open = ask_as(65534, &api, list);
    assert!(open.starts_with("HTTP/1.1 403") && open.contains("auth.denied"), "{open}");
    let forwarded = ask_as(65534, &hop.root().join("run/server/http.sock"), list);
    assert!(forwarded.starts_with("HTTP/1.1 403"), "{forwarded}");
    for role in ["proxy", "supervisor"] {
        let socket = hop.root().join("run").join(role).join("control.sock");
        let said = ask_as(65534, &socket, "\"status\"\n");
        assert!(
            !said.contains("site") && !said.contains("instances") && !said.contains("\"ok\""),
            "{role}: {said}"
        );
    }
    assert_eq!(hop.json(["app", "list", "--json"]), json!([]));
}
