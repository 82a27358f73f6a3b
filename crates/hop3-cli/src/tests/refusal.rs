// SPDX-License-Identifier: Apache-2.0
//! What does not work: the text a user reads and the exit status a script sees.

use super::program::hop3;
use super::server::{Server, problem};
use expect_test::expect;
use hop3_core::{Kind, Problem};

#[test]
fn every_kind_of_problem_has_its_exit_status() {
    let kinds = [
        Kind::User,
        Kind::Config,
        Kind::NotFound,
        Kind::Conflict,
        Kind::Denied,
        Kind::Unavailable,
        Kind::Plugin,
        Kind::Bug,
    ];
    for kind in kinds {
        let body = problem(&Problem::new(kind, "test.code", "it is so").hint("do this"));
        let server = Server::start(&[("GET /api/apps", kind.http_status(), body)]);
        let done = hop3(&server, &["app", "list"]);
        assert_eq!(done.status, kind.exit_code());
        assert_eq!(done.err, "error[test.code]: it is so\nhint: do this\n");
    }
}

#[test]
fn a_problem_is_json_when_json_is_wanted() {
    let body = problem(&Problem::new(Kind::NotFound, "app.unknown", "there is no app shop"));
    let server = Server::start(&[("GET /api/apps/shop", 404, body)]);
    expect![[r#"
        {"code":"app.unknown","kind":"not-found","title":"there is no app shop"}
        exit status 3
    "#]]
    .assert_eq(&hop3(&server, &["app", "info", "shop", "--json"]).text());
}

#[test]
fn an_answer_that_is_not_hop3s_is_told_as_such() {
    let server = Server::start(&[("GET /api/apps", 502, vec!["<html>Bad gateway".into()])]);
    expect![[r#"
        error[cli.unexpected-answer]: the server answered 502 without saying why
          <html>Bad gateway
        hint: is this the address of a Hop3 server? is the token still valid? log in again with: hop3 login URL
        exit status 6
    "#]].assert_eq(&hop3(&server, &["app", "list"]).text());
}

#[test]
fn an_absent_server_is_unavailable() {
    let (server, listener) = Server::bare();
    drop(listener);
    let done = hop3(&server, &["app", "list"]);
    assert_eq!(done.status, Kind::Unavailable.exit_code());
    assert!(done.err.contains("cli.unreachable"), "{}", done.err);
}

#[test]
fn a_private_key_is_never_sent() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n").unwrap();
    let server = Server::start(&[]);
    let done = hop3(&server, &["user", "key", "add", "me", file.path().to_str().unwrap()]);
    assert_eq!(done.status, Kind::User.exit_code());
    assert!(server.seen().is_empty());
}
