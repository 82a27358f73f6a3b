// SPDX-License-Identifier: Apache-2.0
//! Addons that are no databases, from the command line to the app that is told of them.

use crate::harness::{Hop, Said, skip, until};
use crate::probe::{self, inside};
use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;

/// Runs the command line with this on its standard input.
pub(crate) fn hop3_with(hop: &Hop, arguments: &[&str], input: &str) -> Said {
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

#[test]
fn an_app_sends_mail_into_an_inbox() {
    let hop = Hop::start();
    hop.hop3(["addon", "create", "mail", "post", "-o", "inbox=yes"]).expect_ok();
    probe::push(&hop, "shop");
    hop.hop3(["addon", "bind", "post", "-a", "shop"]).expect_ok();
    let send = "printf 'Subject: hello\\r\\n\\r\\nworld\\r\\n' | curl -sS --url smtp://$SMTP_HOST:$SMTP_PORT \
                -u $SMTP_USER:$SMTP_PASSWORD --mail-from a@b.org --mail-rcpt c@d.org -T - && echo sent";
    assert_eq!(inside(&hop, "shop", send), "sent\n");
    let archive = hop.scratch().join("post.tar");
    let export = ["addon", "export", "post"].map(std::path::Path::new).into_iter();
    hop.hop3(export.chain([archive.as_path()])).expect_ok();
    let mut tar = std::process::Command::new("tar");
    let held = hop.said(tar.arg("-xOf").arg(&archive)).expect_ok().stdout;
    assert!(held.contains("Delivered-To: c@d.org\r\n") && held.ends_with("world\r\n"), "{held}");
    let logs = hop.hop3(["addon", "logs", "post"]).expect_ok().stdout;
    assert!(logs.contains("from <a@b.org> to <c@d.org>: 250"), "{logs}");

    // Without a place to send to there is no other mail.
    let lost = hop.hop3(["addon", "create", "mail", "lost"]);
    assert!(!lost.ok && lost.text.contains("inbox=yes"), "{}", lost.text);
    assert_eq!(hop.json(["addon", "list", "--json"]).as_array().unwrap().len(), 1);
    let secret = hop3_with(&hop, &["addon", "create", "memcached", "cache", "--secret"], "hunter2");
    assert!(!secret.ok && !secret.text.contains("hunter2"), "{}", secret.text);
}

#[test]
fn brokers_and_caches_reach_their_app() {
    let hop = Hop::start();
    probe::push(&hop, "shop");
    for (kind, program) in [("memcached", "/usr/bin/memcached"), ("nats", "/usr/sbin/nats-server")] {
        if !std::path::Path::new(program).exists() {
            skip("brokers_and_caches_reach_their_app", &format!("{program} is not installed"));
            continue;
        }
        let name = format!("the-{kind}");
        hop.hop3(["addon", "create", kind, &name]).expect_ok();
        hop.hop3(["addon", "bind", &name, "-a", "shop"]).expect_ok();
        let variable = kind.to_uppercase();
        let talk = format!(
            "exec 2>&1; echo ${variable}_URL; perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(\"127.0.0.1:$ENV{{{variable}_PORT}}\") \
             or die; print $s \"version\\r\\n\"; print substr(scalar(<$s>), 0, 4)'"
        );
        let said = inside(&hop, "shop", &talk);
        assert!(said.starts_with(&format!("{kind}://")), "{said}");
        assert!(said.ends_with("VERS") || said.ends_with("INFO"), "{said}");
        let info = hop.json(["addon", "info", &name, "--json"]);
        assert_eq!(info["status"]["is_up"], true, "{info}");
        hop.hop3(["addon", "unbind", &name, "-a", "shop"]).expect_ok();
        hop.hop3(["addon", "destroy", &name, "--confirm", &name, "--now"]).expect_ok();
    }
}
