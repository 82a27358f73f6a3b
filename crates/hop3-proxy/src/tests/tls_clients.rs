// SPDX-License-Identifier: Apache-2.0
//! TLS as the programs people use see it: curl, and openssl for versions, host names and tickets.

use super::harness::*;
use super::tls::{secure_proxy, with_tls};
use hop3_core::route::Tls;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Skips loudly when a program is missing.
fn has(program: &str) -> bool {
    let found =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(
            std::env::var_os("HOP3_NO_SKIP").is_none_or(|value| value.is_empty()),
            "{program} is missing"
        );
        println!("SKIP: {program} is missing");
    }
    found
}

struct Site {
    proxy: Proxy,
    ca: PathBuf,
    _server: Server,
}

impl Site {
    fn new() -> Site {
        let (proxy, server) = (secure_proxy(), Server::named("one"));
        proxy.put(with_tls(&["a.localhost", "c.localhost"], &[&server], Tls::default()));
        let ca = proxy.root.path().join("ca.pem");
        std::fs::write(&ca, proxy.authority()).unwrap();
        Site { proxy, ca, _server: server }
    }

    fn curl(&self, arguments: &[&str], url: &str) -> Output {
        let port = self.proxy.https.unwrap().port();
        let url = url.replace("PORT", &port.to_string());
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--cacert"])
            .arg(&self.ca);
        curl.args(arguments).arg(url).output().unwrap()
    }

    /// Output of `openssl s_client` that was told to end.
    fn openssl(&self, arguments: &[&str]) -> String {
        let address = self.proxy.https.unwrap().to_string();
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &address, "-CAfile"]).arg(&self.ca);
        let output = openssl.args(arguments).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

#[test]
fn curl_trusts_the_internal_authority_and_nothing_else_needs_to_be_said() {
    if !has("curl") {
        return;
    }
    let site = Site::new();
    let output = site.curl(&[], "https://a.localhost:PORT/x");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one /x 0", "{output:?}");
    let http = format!("http://a.localhost:{}/y", site.proxy.http.port());
    let output = site.curl(&["--location"], &http);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one /y 0", "{output:?}");
    let output = site.curl(&["--http1.0"], "https://a.localhost:PORT/old");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one /old 0", "{output:?}");
    // Somebody who does not trust it is told so by his own program.
    let untrusting = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*"])
        .arg(format!("https://a.localhost:{}/", site.proxy.https.unwrap().port()))
        .output()
        .unwrap();
    assert_eq!(untrusting.status.code(), Some(60), "{untrusting:?}");
}

#[test]
fn openssl_gets_1_3_and_1_2_and_nothing_older() {
    if !has("openssl") {
        return;
    }
    let site = Site::new();
    for version in ["-tls1_3", "-tls1_2"] {
        let said = site.openssl(&["-servername", "a.localhost", "-verify_hostname", "a.localhost", version]);
        assert!(said.contains("Verification: OK"), "{said}");
        let shown = version.replace("-tls1_", "TLSv1.");
        assert!(said.contains(&shown), "{said}");
    }
    for version in ["-tls1_1", "-tls1"] {
        let said = site.openssl(&["-servername", "a.localhost", version, "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(said.contains("Cipher is (NONE)"), "{said}");
    }
}

#[test]
fn openssl_is_shown_a_certificate_for_each_name_and_none_for_a_stranger() {
    if !has("openssl") {
        return;
    }
    let site = Site::new();
    for host in ["a.localhost", "c.localhost"] {
        let said = site.openssl(&["-servername", host, "-verify_hostname", host]);
        assert!(said.contains("Verification: OK"), "{said}");
    }
    for stranger in [&["-servername", "b.localhost"][..], &["-noservername"]] {
        let said = site.openssl(stranger);
        assert!(said.contains("no peer certificate available"), "{said}");
        assert!(said.contains("unrecognized name"), "{said}");
    }
}

#[test]
fn a_ticket_spares_the_second_handshake_and_is_for_its_host_alone() {
    if !has("openssl") {
        return;
    }
    let site = Site::new();
    for version in ["-tls1_3", "-tls1_2"] {
        let session = site.proxy.root.path().join(format!("session{version}"));
        let path = session.to_str().unwrap();
        // A request, so that the ticket of 1.3, which comes after the handshake, is read.
        let request = site.proxy.root.path().join("request");
        std::fs::write(&request, "GET / HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\n\r\n").unwrap();
        let talk = |arguments: &[&str]| {
            let mut openssl = Command::new("openssl");
            openssl.args([
                "s_client",
                "-ign_eof",
                version,
                "-connect",
                &site.proxy.https.unwrap().to_string(),
            ]);
            openssl.arg("-CAfile").arg(&site.ca).args(arguments);
            let output = openssl.stdin(std::fs::File::open(&request).unwrap()).output().unwrap();
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        };
        let said = talk(&["-servername", "a.localhost", "-sess_out", path]);
        assert!(said.contains("New, ") && said.contains("one / 0"), "{said}");
        let said = talk(&["-servername", "a.localhost", "-sess_in", path]);
        assert!(said.contains("Reused, "), "{said}");
        let said = talk(&["-servername", "c.localhost", "-sess_in", path]);
        assert!(!said.contains("Reused, "), "{said}");
    }
}
