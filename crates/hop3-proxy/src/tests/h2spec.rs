// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 as h2spec sees it: every case of RFC 7540 and RFC 7541 that it knows, over TLS, against a real upstream.
//!
//! `scripts/test` builds it from `scripts/h2spec`; another one is named by `HOP3_H2SPEC`.

use super::harness::Server;
use super::http2::{H2, block_on, serving_at};
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn program() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("HOP3_H2SPEC") {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    folders.map(|folder| folder.join("h2spec")).find(|file| file.is_file())
}

/// Name and verdict of each case of a JUnit report; `None` is a pass.
fn cases(report: &str) -> Vec<(String, Option<String>)> {
    let attribute = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let each = report.split("<testcase ").skip(1);
    each.map(|text| {
        let text = format!(" {}", text.split("</testcase>").next().unwrap_or(text));
        let (head, rest) = text.split_once('>').unwrap();
        let name = ["package", "classname"].iter().filter_map(|name| attribute(head, name));
        let name = name.collect::<Vec<_>>().join(" ");
        let is_bad = rest.contains("<failure") || rest.contains("<error");
        (name, is_bad.then(|| rest.trim().to_owned()))
    })
    .collect()
}

#[test]
fn h2spec_finds_nothing_wrong() {
    let Some(program) = program() else {
        assert!(std::env::var_os("HOP3_NO_SKIP").is_none(), "h2spec is not there");
        return println!("SKIP: h2spec is not there");
    };
    let server = Server::named("here");
    let proxy = serving_at(&["localhost", "a.localhost"], &server);
    let report = proxy.root.path().join("h2spec.xml");
    let port = proxy.https.unwrap().port().to_string();
    let mut h2spec = Command::new(program);
    h2spec.args(["--host", "localhost", "--port", &port, "--tls", "--insecure", "--junit-report"]);
    let output = h2spec.arg(&report).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let report = std::fs::read_to_string(report).unwrap_or_else(|error| panic!("{error}: {said}"));
    let cases = cases(&report);
    assert!(cases.len() >= 140, "only {} cases: {said}", cases.len());
    let failed: Vec<_> = cases.iter().filter(|(_, why)| why.is_some()).collect();
    assert!(failed.is_empty(), "{} of {} cases failed: {failed:#?}\n{said}", failed.len(), cases.len());
    // Whatever was done to it, it serves.
    block_on(async {
        let mut client = H2::connect(&proxy).await;
        assert_eq!(client.get("/").await.text(), "here / 0");
    });
}
