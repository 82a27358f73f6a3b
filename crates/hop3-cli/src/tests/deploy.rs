// SPDX-License-Identifier: Apache-2.0
//! Deployments: what is uploaded, what is shown while it goes, and how it ends.

use super::program::hop3;
use super::server::{Server, events, problem};
use crate::{Pushed, stream_deployment};
use expect_test::expect;
use hop3_core::event::{DeployStep, Event};
use hop3_core::layout::Layout;
use hop3_core::release::ReleaseNumber;
use hop3_core::{Kind, Problem};
use std::io::{self, Read, Write};
use tempfile::TempDir;

const UPLOAD: &str = "POST /api/apps/shop/deployments?source=upload&create=true";

fn succeeding() -> Vec<String> {
    events(vec![
        Event::DeploymentStarted { source: "upload".into() },
        Event::StepStarted { step: DeployStep::Checkout },
        Event::StepFinished { step: DeployStep::Checkout, millis: 12 },
        Event::StepStarted { step: DeployStep::Build },
        Event::StepOutput { step: DeployStep::Build, text: "Installing\u{1b}[1m flask".into() },
        Event::Warned { text: "there is no lock file".into() },
        Event::StepFinished { step: DeployStep::Build, millis: 1_940 },
        Event::DeploymentSucceeded {
            release: ReleaseNumber(1),
            url: "http://shop.localhost:8080".into(),
            millis: 2_600,
        },
    ])
}

fn failing() -> Vec<String> {
    let problem = Problem::new(Kind::User, "build.command-failed", "the build command fails")
        .detail("make: *** No rule\nexit status 2")
        .hint("run it on your machine: make build");
    events(vec![
        Event::DeploymentStarted { source: "upload".into() },
        Event::StepStarted { step: DeployStep::Build },
        Event::StepFailed { step: DeployStep::Build, problem: problem.clone() },
        Event::DeploymentFailed { problem, millis: 40 },
    ])
}

fn site() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("index.html"), "hello").unwrap();
    directory
}

fn deploy(server: &Server) -> super::program::Done {
    let directory = site();
    hop3(server, &["deploy", directory.path().to_str().unwrap(), "-a", "shop"])
}

#[test]
fn a_deployment_reads_well_without_colour() {
    let server = Server::start(&[(UPLOAD, 200, succeeding())]);
    expect![[r#"
        Deploying shop (upload)
        ✓ checkout   12 ms
        · build
            Installing flask
        warning: there is no lock file
        ✓ build      1.9 s
        shop v1 is live at http://shop.localhost:8080 after 2.6 s
        exit status 0
    "#]]
    .assert_eq(&deploy(&server).text());
    let body = server.seen().remove(0).body;
    let mut names = Vec::new();
    for entry in tar::Archive::new(body.as_ref()).entries().unwrap() {
        names.push(entry.unwrap().path().unwrap().display().to_string());
    }
    assert_eq!(names, ["index.html"]);
}

#[test]
fn a_failed_deployment_ends_with_its_problem_and_its_status() {
    let server = Server::start(&[(UPLOAD, 200, failing())]);
    expect![[r#"
        Deploying shop (upload)
        · build
        ✗ build
        error[build.command-failed]: the build command fails
          make: *** No rule
          exit status 2
        hint: run it on your machine: make build
        exit status 1
    "#]]
    .assert_eq(&deploy(&server).text());
}

#[test]
fn a_refused_upload_shows_the_servers_problem() {
    let refusal = Problem::new(Kind::Denied, "app.denied", "this token may not deploy shop");
    let server = Server::start(&[(UPLOAD, 403, problem(&refusal))]);
    expect![[r#"
        error[app.denied]: this token may not deploy shop
        exit status 5
    "#]]
    .assert_eq(&deploy(&server).text());
}

#[test]
fn a_stream_that_breaks_off_is_not_a_success() {
    let mut cut = succeeding();
    cut.pop();
    let server = Server::start(&[(UPLOAD, 200, cut)]);
    let done = deploy(&server);
    assert_eq!(done.status, Kind::Unavailable.exit_code());
    assert!(done.err.contains("cli.stream-cut"), "{}", done.err);
}

#[test]
fn an_interrupted_deployment_is_told() {
    let server = Server::start(&[(UPLOAD, 200, events(vec![Event::DeploymentInterrupted]))]);
    assert!(deploy(&server).err.contains("cli.interrupted"));
}

#[test]
fn events_cut_anywhere_are_put_together_again() {
    let whole = succeeding().concat();
    let bytes: Vec<String> = whole.chars().map(String::from).collect();
    let server = Server::start(&[(UPLOAD, 200, bytes)]);
    let done = deploy(&server);
    assert_eq!(done.status, 0);
    assert!(
        done.out.ends_with("shop v1 is live at http://shop.localhost:8080 after 2.6 s\n"),
        "{}",
        done.out
    );
}

#[test]
fn a_deployment_as_json_is_one_event_a_line() {
    let server = Server::start(&[(UPLOAD, 200, succeeding())]);
    let directory = site();
    let done = hop3(&server, &["deploy", directory.path().to_str().unwrap(), "-a", "shop", "--json"]);
    for line in done.out.lines() {
        serde_json::from_str::<hop3_core::event::EventRow>(line).unwrap();
    }
    assert_eq!(done.out.lines().count(), 8);
}

#[test]
fn a_git_address_is_deployed_and_no_create_asks_first() {
    let unknown = Problem::new(Kind::NotFound, "app.unknown", "there is no app shop");
    let server = Server::start(&[
        ("GET /api/apps/shop", 404, problem(&unknown)),
        ("POST /api/apps/shop/deployments/git", 200, succeeding()),
    ]);
    let line = ["deploy", "--git", "https://example.org/a.git", "--ref", "main", "-a", "shop"];
    assert_eq!(hop3(&server, &line).status, 0);
    assert_eq!(hop3(&server, &[&line[..], &["--no-create"]].concat()).status, Kind::NotFound.exit_code());
    expect![[r#"
        POST /api/apps/shop/deployments/git {"url":"https://example.org/a.git","ref":"main"}
        GET /api/apps/shop
    "#]]
    .assert_eq(&server.requests());
}

/// What the git hook does.
fn push(server: &Server, tar: impl Read + Send + 'static, out: &mut Vec<u8>) -> u8 {
    let socket = Layout::new(server.root()).api_socket();
    let pushed = Pushed { app: "shop".parse().unwrap(), source: "1a2b3c4", branch: "main" };
    stream_deployment(&socket, &pushed, tar, out)
}

#[test]
fn the_git_hook_gets_the_same_text_and_the_status() {
    let server = Server::start(&[(
        "POST /api/apps/shop/deployments?source=1a2b3c4&create=true&branch=main",
        200,
        failing(),
    )]);
    let mut out = Vec::new();
    let status = push(&server, io::repeat(7).take(300_000), &mut out);
    expect![[r#"
        Deploying shop (upload)
        · build
        ✗ build
        error[build.command-failed]: the build command fails
          make: *** No rule
          exit status 2
        hint: run it on your machine: make build
        exit status 1
    "#]]
    .assert_eq(&format!("{}exit status {status}\n", String::from_utf8(out).unwrap()));
    assert_eq!(server.seen().remove(0).body.len(), 300_000);
}

#[test]
fn an_upload_that_cannot_be_read_is_broken_off_and_told() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let server = Server::start(&[(
        "POST /api/apps/shop/deployments?source=1a2b3c4&create=true&branch=main",
        200,
        succeeding(),
    )]);
    let mut out = Vec::new();
    let status = push(&server, io::repeat(7).take(200_000).chain(Broken), &mut out);
    assert_ne!(status, 0);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("the disk is gone"), "{out}");
}

#[test]
fn a_refusal_before_the_upload_was_read_is_still_understood() {
    let (server, listener) = Server::bare();
    let far_end = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut some = [0; 512];
        let count = stream.read(&mut some).unwrap();
        assert!(count > 0);
        let body = r#"{"code":"app.denied","kind":"denied","title":"this token may not deploy shop"}"#;
        let head =
            format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
    let mut out = Vec::new();
    let status = push(&server, io::repeat(7).take(50_000_000), &mut out);
    far_end.join().unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "error[app.denied]: this token may not deploy shop\n");
    assert_eq!(status, Kind::Denied.exit_code());
}
