// SPDX-License-Identifier: Apache-2.0
//! Processes without HTTP: on a port that the operator allowed, and by the name in a TLS hello, through deployments,
//! upgrades of the proxy, rollbacks and restarts.

use crate::harness::{Hop, Repository, fixture, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

const APP: &str = "mail";
/// Beneath the app's own name.
const HOST: &str = "vault.mail.localhost";

/// One that nobody has at the moment, below those that the kernel gives to whoever connects.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let place = (std::process::id() * 997 + NEXT.fetch_add(1, SeqCst)) % 20_000;
        let port = 10_000 + place as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn files(repository: &Repository, port: u16) {
    let tcp = format!(
        "[[tcp]]\nprocess = \"broker\"\nport = {port}\n\n\
         [[tcp]]\nprocess = \"vault\"\nhost = \"{HOST}\"\nproxy-protocol = true\n"
    );
    repository.write("hop3.toml", &tcp);
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-subj", "/CN=own", "-addext", &format!("subjectAltName=DNS:{HOST}"), "-days", "2"])
        .args(["-keyout", "own.key", "-out", "own.pem"])
        .current_dir(&repository.path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // What openssl makes is its owner's alone, and the process is another user.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(repository.path.join("own.key"), mode).unwrap();
}

/// A connection that is talked over.
struct Talk<W, R> {
    write: W,
    read: BufReader<R>,
    greeting: String,
    /// What carries it, where it is a program.
    _carrier: Option<Carrier>,
}

struct Carrier(Child);

impl Drop for Carrier {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl<W: Write, R: Read> Talk<W, R> {
    fn begin(write: W, read: R, carrier: Option<Child>) -> Talk<W, R> {
        let mut read = BufReader::new(read);
        let mut greeting = String::new();
        read.read_line(&mut greeting).unwrap();
        Talk { write, read, greeting: greeting.trim_end().to_owned(), _carrier: carrier.map(Carrier) }
    }

    /// It lives.
    #[track_caller]
    fn goes_on(&mut self) {
        self.write.write_all(b"still there?\n").unwrap();
        self.write.flush().unwrap();
        let mut line = String::new();
        self.read.read_line(&mut line).unwrap();
        assert_eq!(line, "still there?\n");
    }
}

fn plain(port: u16) -> Talk<TcpStream, TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    Talk::begin(stream.try_clone().unwrap(), stream, None)
}

/// By a client that trusts the process's own certificate and nothing else.
fn secure(hop: &Hop, repository: &Repository) -> Talk<ChildStdin, ChildStdout> {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-servername", HOST, "-verify_hostname", HOST])
        .args(["-connect", &format!("127.0.0.1:{}", hop.https.unwrap()), "-CAfile", "own.pem"])
        .current_dir(&repository.path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (write, read) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    Talk::begin(write, read, Some(child))
}

fn deploy(hop: &Hop, repository: &Repository, version: &str) {
    repository.write("version", version);
    hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
}

#[test]
fn both_ways_in_go_through_deployments_upgrades_and_restarts() {
    let port = free_port();
    let mut hop = Hop::start_secure_with(&["--tcp-ports", &port.to_string()]);
    let repository = hop.repository(APP, &fixture("tcp"));
    files(&repository, port);
    deploy(&hop, &repository, "1");

    let (mut old_plain, mut old_secure) = (plain(port), secure(&hop, &repository));
    assert_eq!(old_plain.greeting, "version=1 who=nobody");
    assert_eq!(old_secure.greeting, "version=1 who=127.0.0.1");
    deploy(&hop, &repository, "2");
    assert_eq!(plain(port).greeting, "version=2 who=nobody");
    assert_eq!(secure(&hop, &repository).greeting, "version=2 who=127.0.0.1");
    // The old instances are drained: who is connected stays so.
    old_plain.goes_on();
    old_secure.goes_on();

    hop.hop3(["proxy", "upgrade"]).expect_ok();
    old_plain.goes_on();
    old_secure.goes_on();
    assert_eq!(plain(port).greeting, "version=2 who=nobody");
    drop((old_plain, old_secure));
    let releases = |hop: &Hop| -> Vec<String> {
        hop.instances(APP).iter().map(|instance| instance["release"].to_string()).collect()
    };
    until("the old instances have ended", || releases(&hop) == ["2", "2"]);

    let info = hop.json(["app", "info", APP, "--json"]);
    let https = hop.https.unwrap();
    let expected = serde_json::json!([
        { "process": "broker", "address": format!("mail.localhost:{port}"), "tls": false, "proxy_protocol": false },
        { "process": "vault", "address": format!("{HOST}:{https}"), "tls": true, "proxy_protocol": true },
    ]);
    assert_eq!(info["tcp"], expected);
    let text = hop.hop3(["app", "info", APP]).expect_ok().text;
    assert!(text.contains(&format!("mail.localhost:{port} to broker")), "{text}");
    until("the log of requests tells the connections", || {
        let log = hop.hop3(["logs", "--requests", "-a", APP]).expect_ok().text;
        log.contains(&format!("tcp:{port} closed")) && log.contains(&format!("tls:{HOST} "))
    });

    hop.hop3(["rollback", "-a", APP]).expect_ok();
    assert_eq!(plain(port).greeting, "version=1 who=nobody");
    let killed = hop.kill("proxy");
    until("another proxy lives", || hop.pid_of("proxy").is_some_and(|pid| pid != killed));
    until("the port is open", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert_eq!(plain(port).greeting, "version=1 who=nobody");

    // What the operator allows no longer is closed, and the rest goes on.
    hop.hop3(["server", "stop", "--all"]).expect_ok();
    hop.options.clear();
    hop.boot();
    until("the app is up", || !secure(&hop, &repository).greeting.is_empty());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let text = hop.hop3(["app", "info", APP]).expect_ok().text;
    assert!(text.contains("closed: the server does not allow the port"), "{text}");
}

#[test]
fn a_port_is_the_operators_to_allow_and_has_one_app() {
    let (port, other) = (free_port(), free_port());
    let hop = Hop::start_secure_with(&["--tcp-ports", &port.to_string()]);
    let repository = hop.repository(APP, &fixture("tcp"));
    let refused = |port: u16, app: &str| {
        files(&repository, port);
        let said = hop.hop3_in(&repository.path, ["deploy", ".", "-a", app]);
        assert!(!said.ok, "{}", said.text);
        said.text
    };
    let said = refused(other, APP);
    assert!(
        said.contains("error[tcp.port-not-allowed]") && said.contains(&format!("--tcp-ports {other}")),
        "{said}"
    );
    assert!(refused(hop.port, APP).contains("error[tcp.port-own]"));
    // Allowed, and another program of the machine has it: the first release is not switched to.
    let holder = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let said = refused(port, APP);
    assert!(said.contains("error[tcp.port-in-use]"), "{said}");
    drop(holder);
    files(&repository, port);
    deploy(&hop, &repository, "1");
    assert_eq!(plain(port).greeting, "version=1 who=nobody");
    let said = refused(port, "second");
    assert!(said.contains("error[tcp.port-taken]") && said.contains("\"mail\""), "{said}");
    repository.write("hop3.toml", &format!("[[tcp]]\nprocess = \"brokr\"\nport = {port}\n"));
    let said = hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).text;
    assert!(said.contains("error[tcp.unknown-process]") && said.contains("it has: broker, vault"), "{said}");
    // An app's names are its own, in [[tcp]] as elsewhere.
    for file in [
        "[[tcp]]\nprocess = \"vault\"\nhost = \"mail.localhost\"\n",
        "[domains]\nlist = [\"mail.localhost\"]\n",
    ] {
        repository.write("hop3.toml", file);
        let said = hop.hop3_in(&repository.path, ["deploy", ".", "-a", "second"]).text;
        assert!(said.contains("error[domain.reserved]"), "{said}");
    }
    assert_eq!(plain(port).greeting, "version=1 who=nobody");
    // Who gives the port up gives it to others.
    let entry = "[[tcp]]\nprocess = \"broker\"\nhost = \"mq.mail.localhost\"\n\n";
    repository
        .write("hop3.toml", &(entry.to_owned() + &entry.replace("broker", "vault").replace("mq", "vault")));
    hop.hop3_in(&repository.path, ["deploy", ".", "-a", APP]).expect_ok();
    files(&repository, port);
    let file = std::fs::read_to_string(repository.path.join("hop3.toml")).unwrap();
    repository.write("hop3.toml", &file.replace(HOST, "vault.second.localhost"));
    hop.hop3_in(&repository.path, ["deploy", ".", "-a", "second"]).expect_ok();
    assert_eq!(plain(port).greeting, "version=1 who=nobody");
    let said = hop.hop3(["rollback", "-a", APP]).text;
    assert!(said.contains("error[tcp.port-taken]"), "{said}");
}

#[test]
fn balancers_that_the_operator_names_are_believed_and_must_introduce_their_clients() {
    let hop = Hop::start_secure_with(&["--proxy-protocol-from", "127.0.0.9,192.0.2.0/24"]);
    let url = format!("http://127.0.0.1:{}/", hop.port);
    let curl = |options: &[&str]| {
        let fixed = [
            "--silent",
            "--max-time",
            "20",
            "--noproxy",
            "*",
            "--write-out",
            "%{http_code}",
            "--output",
            "/dev/null",
        ];
        let output = Command::new("curl").args(fixed).args(options).arg(&url).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let usual = curl(&[]);
    assert_ne!(usual, "000");
    assert_eq!(curl(&["--interface", "127.0.0.9", "--haproxy-protocol"]), usual);
    assert_eq!(curl(&["--interface", "127.0.0.9"]), "000");
    assert_eq!(curl(&["--haproxy-protocol"]), "505");
}
