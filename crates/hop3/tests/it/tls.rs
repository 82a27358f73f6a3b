// SPDX-License-Identifier: Apache-2.0
//! HTTPS from the outside: pushed to, fetched from, with the server's own authority and with a certificate that was
//! brought.

use crate::harness::{Hop, Said, example, fixture, until};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

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
fn certificates_change_under_visitors_and_no_request_fails() {
    let hop = Hop::start_secure();
    let ca = authority(&hop);
    hop.push("steady", &fixture("steady"));
    let url = format!("https://steady.localhost:{}/", hop.https.unwrap());
    // Four days left is a warning in the app's log, once.
    let own = bring(&hop, "steady.localhost", "4");
    let both = hop.scratch().join("both.pem");
    let text = |file: &Path| std::fs::read_to_string(file).unwrap();
    std::fs::write(&both, text(&ca) + &text(Path::new(&own.0))).unwrap();
    let (is_over, visits) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    assert_eq!(curl(&both, &url).0, "200");
                    visits.fetch_add(1, SeqCst);
                }
            });
        }
        for _ in 0..5 {
            let before = visits.load(SeqCst);
            add(&hop, &own, &[]).expect_ok();
            assert_eq!(curl(Path::new(&own.0), &url).0, "200");
            hop.hop3(["cert", "remove", "steady.localhost"]).expect_ok();
            assert_eq!(curl(&ca, &url).0, "200");
            until("visitors came meanwhile", || visits.load(SeqCst) > before + 2);
        }
        is_over.store(true, SeqCst);
    });
    let log = hop.hop3(["logs", "-a", "steady", "-n", "100"]).expect_ok().text;
    assert_eq!(log.matches("the certificate of steady.localhost expires in 5 days").count(), 1, "{log}");
}

#[test]
fn a_thousand_certificates_are_kept_and_listed() {
    let hop = Hop::start_secure();
    let hosts: Vec<String> = (0..1000).map(|i| format!("h{i}.example.org")).collect();
    let own = bring(&hop, &hosts.join(",DNS:"), "60");
    add(&hop, &own, &[]).expect_ok();
    let all = hop.json(["cert", "list", "--json"]);
    assert_eq!(all.as_array().unwrap().iter().filter(|one| one["origin"] == "own").count(), 1000);
    let renewed = hop.hop3(["cert", "renew", "h7.example.org"]);
    assert!(renewed.text.contains("error[cert.not-renewable]"), "{}", renewed.text);
    assert_eq!(hop.hop3(["cert", "info", "nobody.example.org"]).code, Some(3));
}

#[test]
fn the_client_speaks_https_with_whom_it_trusts() {
    let hop = Hop::start_secure();
    let ca = authority(&hop);
    let url = format!("https://localhost:{}", hop.https.unwrap());
    // As somebody elsewhere, with nothing but the network.
    let away = |arguments: &[&str]| {
        let mut command = hop.command(arguments);
        command.env_remove("HOP3_ROOT");
        command
    };
    let run = |arguments: &[&str]| hop.said(&mut away(arguments));
    let login = ["login", &url, "--token", &hop.token];
    // The machine's list of authorities is one that has another in it, then ours.
    let other = bring(&hop, "other.localhost", "30").0;
    let refused = hop.said(away(&login).env("SSL_CERT_FILE", &other));
    assert!(!refused.ok && refused.text.contains("[cli.untrusted]"), "{}", refused.text);
    assert!(refused.text.contains("--ca-file"), "{}", refused.text);
    hop.said(away(&login).env("SSL_CERT_FILE", &ca)).expect_ok();
    hop.said(away(&["logout"]).env("SSL_CERT_FILE", &ca)).expect_ok();
    let plain = run(&[
        "login",
        &format!("https://localhost:{}", hop.port),
        "--token",
        &hop.token,
        "--ca-file",
        &shown(&ca),
    ]);
    assert!(plain.text.contains("[cli.not-https]"), "{}", plain.text);
    let file = shown(&ca);
    run(&[&login[..], &["--ca-file", &file]].concat()).expect_ok();
    // The file is not needed any more.
    std::fs::remove_file(&ca).unwrap();
    let elsewhere = run(&["app", "list", "--server", &url.replace("localhost", "127.0.0.2")]);
    assert!(!elsewhere.ok && elsewhere.text.contains("[cli."), "{}", elsewhere.text);

    let app = shown(&fixture("steady"));
    let said = run(&["deploy", &app, "-a", "steady"]).expect_ok();
    assert!(said.text.contains("is live at https://steady.localhost"), "{}", said.text);
    let mut follower = away(&["logs", "-f", "-a", "steady"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines().map(Result::unwrap);
    run(&["config", "set", "GREETING=hello", "-a", "steady"]).expect_ok();
    assert!(lines.any(|line| line.contains("config changed: GREETING")));
    follower.kill().unwrap();
    follower.wait().unwrap();
    let ran = run(&["run", "-a", "steady", "--", "sh", "-c", "echo $GREETING; exit 7"]);
    assert!(ran.stdout.contains("hello") && ran.code == Some(7), "{}", ran.text);
    let instance = hop.instances("steady")[0]["id"].as_str().unwrap().to_owned();
    let mut exec = away(&["exec", "-a", "steady", &instance, "--", "cat"]);
    let mut exec = exec.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    exec.stdin.take().unwrap().write_all(b"there and back").unwrap();
    let echoed = exec.wait_with_output().unwrap();
    assert!(echoed.status.success(), "{}", String::from_utf8_lossy(&echoed.stderr));
    assert_eq!(String::from_utf8_lossy(&echoed.stdout), "there and back");
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// An authority of clients in `clients.pem`, and a certificate of its own for Ada: file and key.
fn clients(hop: &Hop) -> (String, String) {
    let folder = hop.scratch();
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let root = ["-subj", "/CN=Clients", "-keyout", "clients.key", "-out", "clients.pem"];
    openssl(folder, &[&["req", "-x509"], &curve[..], &root].concat());
    let ada =
        ["-subj", "/CN=Ada", "-addext", "subjectAltName=DNS:ada", "-keyout", "ada.key", "-out", "ada.csr"];
    openssl(folder, &[&["req"], &curve[..], &ada].concat());
    openssl(
        folder,
        &[
            "x509",
            "-req",
            "-in",
            "ada.csr",
            "-CA",
            "clients.pem",
            "-CAkey",
            "clients.key",
            "-CAcreateserial",
            "-copy_extensions",
            "copy",
            "-out",
            "ada.pem",
        ],
    );
    (shown(&folder.join("ada.pem")), shown(&folder.join("ada.key")))
}

#[test]
fn an_app_says_who_may_come_and_that_https_alone_is_to_be_used() {
    let hop = Hop::start_secure();
    let ca = authority(&hop);
    let repository = hop.push("site", &fixture("policy"));
    let https = format!("https://site.localhost:{}/", hop.https.unwrap());
    let http = format!("http://site.localhost:{}/", hop.port);
    let fetch = |more: &[&str], url: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--include", "--max-time", "20", "--noproxy", "*", "--cacert"]).arg(&ca);
        String::from_utf8(curl.args(more).arg(url).output().unwrap().stdout).unwrap().to_lowercase()
    };
    let set = |pairs: &[&str]| hop.hop3(["proxy", "set", "-a", "site"].iter().chain(pairs));

    // HSTS, over HTTPS alone.
    set(&["hsts.max-age=63072000", "hsts.include-subdomains=true", "hsts.preload=true"]).expect_ok();
    let told = "strict-transport-security: max-age=63072000; includesubdomains; preload\r\n";
    assert!(fetch(&[], &https).contains(told), "{}", fetch(&[], &https));
    assert!(!fetch(&[], &http).contains("strict-transport"));
    let refused = set(&["hsts.max-age=300"]);
    assert!(refused.text.contains("preload needs include-subdomains"), "{}", refused.text);

    // What plain HTTP gets.
    assert!(fetch(&[], &http).starts_with("http/1.1 301"));
    set(&["https=both"]).expect_ok();
    assert!(fetch(&[], &http).starts_with("http/1.1 200"));
    set(&["https=only"]).expect_ok();
    assert!(fetch(&[], &http).starts_with("http/1.1 403"));
    assert!(set(&["https=never"]).text.contains("redirect, both, only"));

    // Clients' certificates, from a file of the release.
    let (pem, key) = clients(&hop);
    let missing = set(&["client-ca=certs/clients.pem"]);
    assert!(missing.text.contains("error[proxy.no-client-ca]"), "{}", missing.text);
    let text = std::fs::read_to_string(repository.path.join("hop3.toml")).unwrap();
    repository.write("hop3.toml", &text.replace("[proxy]\n", "[proxy]\nclient-ca = \"certs/clients.pem\"\n"));
    let push = |file: &str, expected: &str| {
        repository.write("certs/clients.pem", file);
        repository.commit("authorities");
        let pushed = repository.push(&hop.remote("site"), "main");
        assert!(!pushed.ok && pushed.text.contains(expected), "{}", pushed.text);
        assert!(fetch(&[], &https).starts_with("http/2 200"), "the old release serves");
    };
    push("nonsense", "[proxy.bad-client-ca]");
    let leaf = std::fs::read_to_string(&pem).unwrap();
    push(&leaf, "[proxy.bad-client-ca]");
    let key_text = std::fs::read_to_string(&key).unwrap();
    push(&key_text, "there is a private key in it");
    let authorities = std::fs::read_to_string(hop.scratch().join("clients.pem")).unwrap();
    repository.write("certs/clients.pem", &authorities);
    repository.commit("authorities");
    repository.push(&hop.remote("site"), "main").expect_ok();
    assert_eq!(fetch(&[], &https), "", "nobody without a certificate");
    let shown = fetch(&["--cert", &pem, "--key", &key], &https);
    assert!(shown.contains("x-forwarded-client-subject: cn=ada"), "{shown}");
    // A release without the file, while it is asked for by hand, does not serve.
    set(&["client-ca=certs/clients.pem"]).expect_ok();
    let back = hop.hop3(["rollback", "-a", "site"]);
    assert!(!back.ok && back.text.contains("[proxy.no-client-ca]"), "{}", back.text);
    assert!(fetch(&["--cert", &pem, "--key", &key], &https).contains("cn=ada"));
}
