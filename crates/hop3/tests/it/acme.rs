// SPDX-License-Identifier: Apache-2.0
//! Certificates by themselves, from a push's domain to the file, with the real program and pebble: set up by the command
//! line, and gone on with after SIGKILL at any moment.

#[path = "../../../hop3-proxy/src/tests/acme/authority.rs"]
#[expect(dead_code, reason = "the proxy's own tests use the rest of it")]
mod authority;

use crate::harness::{Hop, until};
use authority::{Names, Pebble, Setup, lacks};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

const DOMAINS: usize = 16;

/// An installation whose app has domains, and pebble, which looks at its port.
fn bench() -> (Hop, Names, Pebble) {
    let hop = Hop::start();
    let names = Names::start();
    let pebble = Pebble::start(&Setup { http: hop.port, ..Setup::default() }, names.dns);
    hop.hop3(["app", "create", "shop"]).expect_ok();
    (hop, names, pebble)
}

fn agree(hop: &Hop, pebble: &Pebble) {
    let root = hop.scratch().join("root.pem");
    fs::write(&root, &pebble.root_pem).unwrap();
    let root = root.to_str().unwrap();
    let said = hop.hop3(["cert", "acme", "set", "--ca", &pebble.directory, "--ca-root", root]).expect_ok();
    assert!(said.text.contains("no: agree to the terms of service"), "{}", said.text);
    hop.hop3(["cert", "acme", "set", "--contact", "ada@example.org", "--agree-tos"]).expect_ok();
}

fn chain(hop: &Hop, host: &str) -> PathBuf {
    hop.root().join("certs").join(host).join("chain.pem")
}

#[test]
fn a_domain_that_is_added_gets_its_certificate() {
    if lacks("a_domain_that_is_added_gets_its_certificate", &["pebble", "pebble-challtestsrv"]) {
        return;
    }
    let (hop, _names, pebble) = bench();
    let doctor = |hop: &Hop| hop.hop3(["doctor"]).text;
    assert!(doctor(&hop).contains("hop3 cert acme set --contact MAIL --agree-tos"), "{}", doctor(&hop));
    let refused = hop.hop3(["cert", "acme", "set", "--ca", "letsencrpyt"]);
    assert!(refused.text.contains("acme.unknown-authority"), "{}", refused.text);
    agree(&hop, &pebble);
    assert!(doctor(&hop).contains(&format!("obtained from {}", pebble.directory)), "{}", doctor(&hop));
    hop.hop3(["domain", "add", "shop.example.org", "-a", "shop"]).expect_ok();
    until("a certificate", || chain(&hop, "shop.example.org").exists());
    // A path that an app may write to is no program of the operator's.
    let inside = hop.root().join("hook");
    fs::write(&inside, "#!/bin/sh\n").unwrap();
    let refused = hop.hop3(["cert", "acme", "set", "--dns-hook", inside.to_str().unwrap()]);
    assert!(refused.text.contains("acme.bad-hook"), "{}", refused.text);
    hop.hop3(["cert", "acme", "off"]).expect_ok();
    let shown = hop.json(["cert", "acme", "show", "--json"]);
    assert_eq!((&shown["on"], &shown["contact"][0]), (&false.into(), &"ada@example.org".into()));
    hop.hop3(["domain", "add", "late.example.org", "-a", "shop"]).expect_ok();
    assert_eq!(pebble.said(&["Added order"]), 1, "nobody is asked any more");
}

/// The authority asks in a handshake, at the port where visitors shake hands too.
#[test]
fn a_handshake_at_the_port_of_https_proves_a_domain() {
    if lacks("a_handshake_at_the_port_of_https_proves_a_domain", &["pebble", "pebble-challtestsrv"]) {
        return;
    }
    let hop = Hop::start_secure();
    let names = Names::start();
    // Nobody listens where it would look by plain HTTP.
    let setup = Setup { http: authority::free_port(), tls: hop.https.unwrap(), ..Setup::default() };
    let pebble = Pebble::start(&setup, names.dns);
    hop.hop3(["app", "create", "shop"]).expect_ok();
    agree(&hop, &pebble);
    hop.hop3(["cert", "acme", "set", "--challenge", "tls-alpn-01"]).expect_ok();
    hop.hop3(["domain", "add", "shop.example.org", "-a", "shop"]).expect_ok();
    // A part of a domain whose rest nobody serves.
    hop.hop3(["domain", "add", "parts.example.org/api", "-a", "shop"]).expect_ok();
    for host in ["shop.example.org", "parts.example.org"] {
        // The file is there a moment before it is shown.
        until("a certificate", || hop.json(["cert", "info", host, "--json"])["origin"] == "acme");
        let info = hop.json(["cert", "info", host, "--json"]);
        assert_eq!(info["served"], true, "{info}");
    }
}

/// Why there is none, and when it is tried again, where somebody looks for it.
#[test]
fn a_domain_that_gets_no_certificate_says_why() {
    if lacks("a_domain_that_gets_no_certificate_says_why", &["pebble", "pebble-challtestsrv"]) {
        return;
    }
    let (hop, names, pebble) = bench();
    names.point("away.example.org", "127.7.7.7");
    agree(&hop, &pebble);
    hop.hop3(["domain", "add", "away.example.org", "-a", "shop"]).expect_ok();
    let info = || hop.hop3(["cert", "info", "away.example.org"]).text;
    until("it failed", || info().contains("[acme.not-proven]"));
    let text = info();
    assert!(text.contains("next try") && text.contains("not before") && text.contains("127.7.7.7"), "{text}");
    let list = hop.hop3(["cert", "list"]).expect_ok().stdout;
    let line = list.lines().find(|line| line.contains("away.example.org")).unwrap();
    assert!(line.contains("next try not before"), "{list}");
    let one = hop.json(["cert", "info", "away.example.org", "--json"]);
    assert_eq!(one["waiting"]["failures"], 1, "{one}");
}

#[test]
fn a_proxy_that_is_killed_loses_no_account_order_or_key() {
    if lacks("a_proxy_that_is_killed_loses_no_account_order_or_key", &["pebble", "pebble-challtestsrv"]) {
        return;
    }
    let (hop, _names, pebble) = bench();
    let hosts: Vec<String> = (0..DOMAINS).map(|i| format!("h{i}.example.org")).collect();
    for host in &hosts {
        hop.hop3(["domain", "add", host, "-a", "shop"]).expect_ok();
    }
    agree(&hop, &pebble);
    let accounts = hop.root().join("certs/acme/accounts");
    until("the account's key is made", || fs::read_dir(&accounts).is_ok_and(|mut all| all.next().is_some()));
    let mut saved = BTreeSet::new();
    let mut kill = |at: usize| {
        until("so many orders", || pebble.said(&["Added order"]) >= at);
        let dead = hop.kill("proxy");
        saved.extend(orders(&hop));
        until("another proxy", || hop.pid_of("proxy").is_some_and(|pid| pid != dead));
    };
    for at in [0, 1, 4, 9, 14] {
        kill(at);
    }
    for host in &hosts {
        until(&format!("a certificate for {host}"), || chain(&hop, host).exists());
    }
    assert_eq!(pebble.said(&["There are now 2 accounts"]), 0, "one account");
    assert_eq!(pebble.said(&["Issued certificate"]), DOMAINS, "nothing is issued twice");
    let lost = saved.iter().filter(|id| {
        let ended = pebble.said(&["Issued certificate", id]) + pebble.said(&[id, "set INVALID"]);
        ended == 0
    });
    assert_eq!(lost.collect::<Vec<_>>(), Vec::<&String>::new(), "every order that was saved is gone on with");
}

/// Those that lie on disk, by the last part of their address.
fn orders(hop: &Hop) -> Vec<String> {
    let Ok(files) = fs::read_dir(hop.root().join("certs/acme/names")) else { return Vec::new() };
    // What is still being written lies beside and is not saved.
    let files =
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "json"));
    let texts = files.filter_map(|path| fs::read_to_string(path).ok());
    let saved = texts.filter_map(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let urls = saved.flat_map(|one| {
        let orders = one["orders"].as_object().cloned().unwrap_or_default();
        orders
            .into_iter()
            .filter_map(|(_, order)| Some(order["url"].as_str()?.to_owned()))
            .collect::<Vec<_>>()
    });
    urls.filter_map(|url| Some(url.rsplit('/').next()?.to_owned())).collect()
}
