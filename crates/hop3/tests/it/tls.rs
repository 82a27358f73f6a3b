// SPDX-License-Identifier: Apache-2.0
//! HTTPS from the outside: pushed to, fetched from, with the server's own authority and with a certificate that was
//! brought.

use crate::harness::{Hop, Said, example, fixture};
use crate::load::Load;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The certificate of the server's own authority, as a file.
fn authority(hop: &Hop) -> PathBuf {
    let file = hop.scratch().join("ca.pem");
    std::fs::write(&file, hop.hop3(["cert", "ca"]).expect_ok().stdout).unwrap();
    file
}

/// Status, Location and body of a GET.
fn curl(ca: &Path, url: &str) -> (String, String) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--cacert"]).arg(ca);
    let output = curl.args(["--write-out", "\n%{http_code} %{redirect_url}", url]).output().unwrap();
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, facts) = text.rsplit_once('\n').unwrap();
    (facts.trim().to_owned(), body.to_owned())
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A self-signed certificate for that host, valid for so many days.
fn bring(hop: &Hop, host: &str, days: &str) -> (String, String) {
    let names = format!("subjectAltName=DNS:{host}");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let rest =
        ["-subj", "/CN=own", "-addext", &names, "-days", days, "-keyout", "own.key", "-out", "own.pem"];
    openssl(hop.scratch(), &[&["req", "-x509"], &curve[..], &rest].concat());
    let file = |name: &str| hop.scratch().join(name).display().to_string();
    (file("own.pem"), file("own.key"))
}

fn add(hop: &Hop, (cert, key): &(String, String), hosts: &[&str]) -> Said {
    hop.hop3([&["cert", "add", "--cert", cert, "--key", key], hosts].concat())
}

#[test]
fn an_app_is_pushed_and_fetched_over_https() {
    let mut hop = Hop::start_secure();
    let https = hop.https.unwrap();
    let ca = authority(&hop);
    let repository = hop.repository("page", &example("apps/static-hello"));
    let remote = format!("https://test:{}@localhost:{https}/git/page.git", hop.token);
    let mut git = repository.command(["push", &remote, "main"]);
    let pushed = git.env("GIT_SSL_CAINFO", &ca).env("no_proxy", "localhost").output().unwrap();
    let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
    assert!(pushed.status.success() && said.contains(&format!("https://page.localhost:{https}")), "{said}");

    let url = format!("https://page.localhost:{https}/");
    let (facts, page) = curl(&ca, &url);
    assert!(facts == "200" && !page.is_empty(), "{facts}: {page}");
    assert_eq!(hop.json(["app", "info", "page", "--json"])["url"], url.trim_end_matches('/'));

    let (facts, _) = curl(&ca, &format!("http://page.localhost:{}/x?y=z", hop.port));
    assert_eq!(facts, format!("301 https://page.localhost:{https}/x?y=z"));

    let list = hop.hop3(["cert", "list"]).expect_ok().text;
    assert!(list.contains("page.localhost") && list.contains("internal"), "{list}");

    // The next proxy, taken over or started again, is on the same two ports with the same authority.
    hop.hop3(["proxy", "upgrade"]).expect_ok();
    assert_eq!(curl(&ca, &url).0, "200");
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    hop.boot();
    assert_eq!(hop.https, Some(https));
    assert_eq!(curl(&ca, &url).0, "200");
}

#[test]
fn a_certificate_of_ones_own_is_shown_from_then_on_and_drops_no_request() {
    let hop = Hop::start_secure();
    let ca = authority(&hop);
    hop.push("steady", &fixture("steady"));
    let host = "steady.localhost";
    let url = format!("https://{host}:{}/", hop.https.unwrap());
    assert_eq!(curl(&ca, &url).0, "200");
    let own = bring(&hop, host, "30");
    add(&hop, &own, &[]).expect_ok();
    let (facts, _) = curl(Path::new(&own.0), &url);
    assert_eq!(facts, "200");
    let info = hop.json(["cert", "info", host, "--json"]);
    assert_eq!(info["origin"], "own", "{info}");
    hop.hop3(["cert", "remove", host]).expect_ok();
    assert_eq!(curl(&ca, &url).0, "200");
}

#[test]
fn a_certificate_that_would_not_serve_is_refused_with_the_reason() {
    let hop = Hop::start_secure();
    hop.push("page", &example("apps/static-hello"));
    let own = bring(&hop, "page.localhost", "30");
    let refused = |said: Said, code: &str| {
        assert!(!said.ok && said.text.contains(code) && said.text.contains("hint:"), "{}", said.text);
    };
    refused(add(&hop, &own, &["other.localhost"]), "[cert.other-name]");
    openssl(hop.scratch(), &["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "other.key"]);
    let other = hop.scratch().join("other.key").display().to_string();
    refused(add(&hop, &(own.0.clone(), other), &[]), "[cert.key-mismatch]");
    refused(add(&hop, &(own.1.clone(), own.1.clone()), &[]), "[cert.unreadable]");
    let list = hop.hop3(["cert", "list"]).expect_ok().text;
    assert!(!list.contains(" own"), "{list}");
}

#[test]
fn certificates_are_added_and_removed_under_load_without_a_failed_request() {
    let hop = Hop::start();
    hop.push("steady", &fixture("steady"));
    let load = Load::start(hop.port, "steady");
    for _ in 0..10 {
        let own = bring(&hop, "steady.localhost", "30");
        add(&hop, &own, &[]).expect_ok();
        load.more(100);
        hop.hop3(["cert", "remove", "steady.localhost"]).expect_ok();
    }
    load.stop().expect_no_failure();
}
