// SPDX-License-Identifier: Apache-2.0
//! `Pebble`, Let's Encrypt's authority for tests, and `Names`, the DNS server beside it: the real programs, on
//! loopback, with noise on.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What a test may want otherwise.
pub(super) struct Setup {
    /// Where the authority looks: the proxy's ports.
    pub(super) http: u16,
    pub(super) tls: u16,
    pub(super) validity_secs: u64,
    pub(super) binding: bool,
    /// Nonces refused, of a hundred.
    pub(super) bad_nonces: u8,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { http: 1, tls: 1, validity_secs: 86_400, binding: false, bad_nonces: 15 }
    }
}

pub(super) struct Pebble {
    pub(super) directory: String,
    /// What its own HTTPS is checked against.
    pub(super) root_pem: String,
    /// Its files, and what it printed.
    folder: TempDir,
    port: u16,
    dns: SocketAddr,
    bad_nonces: u8,
    log: Arc<Mutex<Vec<String>>>,
    child: Child,
}

impl Pebble {
    pub(super) fn start(setup: &Setup, dns: SocketAddr) -> Pebble {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let root_pem = certify(folder.path());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{}", free_port()),
            "certificate": file("cert.pem"),
            "privateKey": file("key.pem"),
            "httpPort": setup.http,
            "tlsPort": setup.tls,
            "ocspResponderURL": "",
            "certificateValidityPeriod": setup.validity_secs,
            "externalAccountBindingRequired": setup.binding,
            "externalAccountMACKeys": { "kid-1": BINDING_KEY },
        }});
        std::fs::write(file("config.json"), config.to_string()).unwrap();
        let log = Arc::default();
        let child = run(folder.path(), dns, setup.bad_nonces, &log);
        let directory = format!("https://localhost:{port}/dir");
        let bad_nonces = setup.bad_nonces;
        Pebble { directory, root_pem, folder, port, dns, bad_nonces, log, child }
    }

    /// Ends it; what it remembered is gone.
    pub(super) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it anew at the same address.
    pub(super) fn restart(&mut self) {
        self.child = run(self.folder.path(), self.dns, self.bad_nonces, &self.log);
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Lines it printed that contain all of these.
    pub(super) fn said(&self, words: &[&str]) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            let log = self.log.lock().unwrap();
            for line in log.iter().rev().take(60).rev() {
                eprintln!("{line}");
            }
        }
    }
}

pub(super) const BINDING_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

fn run(folder: &Path, dns: SocketAddr, bad_nonces: u8, log: &Arc<Mutex<Vec<String>>>) -> Child {
    let mut child = Command::new("pebble")
        .args(["-config", &folder.join("config.json").display().to_string(), "-dnsserver", &dns.to_string()])
        // Without waits of its own, nothing proven is good for another order, and some nonces are not taken.
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_AUTHZREUSE", "0")
        .env("PEBBLE_WFE_NONCEREJECT", bad_nonces.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let log = log.clone();
    let (ready, is_ready) = std::sync::mpsc::channel();
    thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            if line.contains("Root CA certificate available") {
                ready.send(()).ok();
            }
            log.lock().unwrap().push(line);
        }
    });
    is_ready.recv_timeout(PATIENCE).unwrap();
    child
}

/// A certificate for pebble's own HTTPS; gives the root it leads to.
pub(super) fn certify(folder: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
    std::fs::write(folder.join("cert.pem"), leaf.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    root.pem()
}

/// pebble-challtestsrv: answers every name with 127.0.0.1 until it is told otherwise.
pub(super) struct Names {
    pub(super) dns: SocketAddr,
    pub(super) management: SocketAddr,
    child: Child,
}

impl Names {
    pub(super) fn start() -> Names {
        let [dns, management] =
            [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let child = Command::new("pebble-challtestsrv")
            .args(["-dns01", &dns.to_string(), "-management", &management.to_string()])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("the DNS server listens", || TcpStream::connect(management).is_ok());
        Names { dns, management, child }
    }

    /// From now on the host has this address.
    pub(super) fn point(&self, host: &str, address: &str) {
        self.tell("clear-a", &format!(r#"{{"host":"{host}"}}"#));
        self.tell("add-a", &format!(r#"{{"host":"{host}","addresses":["{address}"]}}"#));
    }

    pub(super) fn tell(&self, verb: &str, body: &str) {
        let mut stream = TcpStream::connect(self.management).unwrap();
        let request = format!(
            "POST /{verb} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Programs that cannot take port 0 get one that nobody is given by chance: it lies below those.
pub(super) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 12;
    loop {
        let port = first.wrapping_add(NEXT.fetch_add(1, SeqCst));
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until something holds, by looking again and again; for what no event tells to the outside.
#[track_caller]
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// Tells whether a test must be left out because a program is not there; loudly, and where nothing may be skipped it
/// fails.
#[track_caller]
pub(super) fn lacks(test: &str, programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).chain(["/usr/sbin".into()]).collect();
    let is_there = |program: &&&str| folders.iter().any(|folder| folder.join(program).is_file());
    let Some(missing) = programs.iter().find(|program| !is_there(program)) else { return false };
    assert!(std::env::var_os("HOP3_NO_SKIP").is_none(), "{test} may not be skipped: there is no {missing}");
    println!("SKIP {test}: there is no {missing}");
    true
}
