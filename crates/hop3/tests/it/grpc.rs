// SPDX-License-Identifier: Apache-2.0
//! A gRPC service, pushed with `app-protocol = "h2c"` and called by a real client over TLS through the proxy.

use crate::harness::{Hop, fixture};
use std::io::Write;
use std::process::{Command, Stdio};

/// What the client saw. It runs with the packages of the app it calls.
fn call(hop: &Hop, python: &str) -> String {
    let authority = hop.hop3(["cert", "ca"]).expect_ok().stdout;
    let port = hop.https.unwrap().to_string();
    let mut client = Command::new(python);
    client.arg(fixture("grpc").join("client.py")).args([&port, "calls.localhost"]);
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(authority.as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", hop.operator_log());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn calls_pass_with_their_messages_trailers_and_statuses() {
    let hop = Hop::start_secure();
    let repository = hop.push("calls", &fixture("grpc"));
    let python = hop.hop3(["run", "-a", "calls", "--", "sh", "-c", "command -v python"]).expect_ok().stdout;
    let expected = |version: &str| {
        format!(
            "1000 message 0 {version} message 999 {version} {{'x-version': '{version}'}}\n{}\n\
             FAILED_PRECONDITION not today\nUNIMPLEMENTED\n",
            version.len() + 1
        )
    };
    assert_eq!(call(&hop, python.trim()), expected("first"));
    let server = std::fs::read_to_string(fixture("grpc").join("server.py")).unwrap();
    repository.write("server.py", &server.replace("\"first\"", "\"second\""));
    repository.commit("change");
    repository.push(&hop.remote("calls"), "main").expect_ok();
    assert_eq!(call(&hop, python.trim()), expected("second"));
}
