// SPDX-License-Identifier: Apache-2.0
//! Addons that are no databases, from the command line to the app that is told of them.

use crate::harness::{Hop, Said, until};
use crate::probe::{self, inside};
use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;

/// Runs the command line with this on its standard input.
fn hop3_with(hop: &Hop, arguments: &[&str], input: &str) -> Said {
    let mut command = hop.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = stdout.clone() + &String::from_utf8_lossy(&output.stderr);
    Said { ok: output.status.success(), code: output.status.code(), text, stdout }
}

#[test]
fn an_external_service_is_checked_bound_and_replaced() {
    let hop = Hop::start();
    let (first, second) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let url_of = |listener: &TcpListener, password: &str| {
        format!("postgres://shop:{password}@{}/shop", listener.local_addr().unwrap())
    };
    let silent = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        url_of(&gone, "hunter2")
    };
    let refused = hop3_with(&hop, &["addon", "create", "external", "ledger", "--secret"], &silent);
    assert!(!refused.ok && refused.text.contains("does not answer"), "{}", refused.text);
    assert!(!refused.text.contains("hunter2"), "{}", refused.text);
    assert!(hop.json(["addon", "list", "--json"]).as_array().unwrap().is_empty());

    let url = url_of(&first, "secret1");
    hop3_with(&hop, &["addon", "create", "external", "ledger", "--secret"], &format!("{url}\n")).expect_ok();
    probe::push(&hop, "shop");
    hop.hop3(["addon", "bind", "ledger", "-a", "shop"]).expect_ok();
    let told = inside(&hop, "shop", "echo $DATABASE_URL $DATABASE_PASSWORD $LEDGER_URL");
    assert_eq!(told, format!("{url} secret1 {url}\n"));

    let another = url_of(&second, "secret2");
    hop3_with(&hop, &["addon", "credentials", "set", "ledger", "--secret"], &another).expect_ok();
    until("the app knows the new address", || inside(&hop, "shop", "echo $DATABASE_URL").trim() == another);
    let info = hop.json(["addon", "info", "ledger", "--json"]);
    assert_eq!(info["status"]["is_up"], true, "{info}");

    // One that does not answer is not taken, and the former stays.
    let refused = hop3_with(&hop, &["addon", "credentials", "set", "ledger", "--secret"], &silent);
    assert!(!refused.ok && refused.text.contains("does not answer"), "{}", refused.text);
    assert_eq!(inside(&hop, "shop", "echo $DATABASE_URL").trim(), another);
    let rotated = hop.hop3(["addon", "credentials", "rotate", "ledger"]);
    assert!(!rotated.ok && rotated.text.contains("credentials set ledger --secret"), "{}", rotated.text);
    let exported = hop.hop3(["addon", "export", "ledger", "-"]);
    assert!(!exported.ok && exported.text.contains("keeps nothing"), "{}", exported.text);
    hop.hop3(["addon", "unbind", "ledger", "-a", "shop"]).expect_ok();
    hop.hop3(["addon", "destroy", "ledger", "--confirm", "ledger", "--now"]).expect_ok();
    assert!(hop.json(["addon", "list", "--json"]).as_array().unwrap().is_empty());
}
