// SPDX-License-Identifier: Apache-2.0
//! Wildcards, proven by DNS: through a program of the operator's, and through updates that bind9 takes.

use super::Bench;
use super::authority::{PATIENCE, Setup, free_port, lacks, until};
use hop3_core::acme::{AcmeChange, ChallengeKind, DnsDriver, DnsUpdate};
use hop3_core::secret::Secret;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

fn hook(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("hook");
    fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_program_proves_a_wildcard() {
    if lacks("a_program_proves_a_wildcard", &["pebble", "pebble-challtestsrv", "curl"]) {
        return;
    }
    let bench = Bench::start(Setup::default());
    let folder = tempfile::tempdir().unwrap();
    let (log, server) = (folder.path().join("log"), bench.names.management);
    let script = format!(
        "echo \"$@\" >>{0}\nenv >>{0}\ncase $1 in\npresent) verb=set-txt ;;\ncleanup) verb=clear-txt ;;\nesac\n\
         exec curl -s -d \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\" http://{server}/$verb\n",
        log.display()
    );
    let path = hook(folder.path(), &script);
    bench.serve("*.example.org");
    bench.serve("*.other.example.org");
    bench.agree();
    bench.until_told("_.example.org", "acme.wildcard-needs-dns");
    let dns = DnsDriver::Hook { path, resolver: Some(bench.names.dns) };
    bench.set(AcmeChange { dns: Some(dns), ..AcmeChange::default() });
    bench.until_there("_.example.org");
    bench.until_there("_.other.example.org");
    let log = fs::read_to_string(log).unwrap();
    let of = |verb: &str| log.lines().filter(|line| line.starts_with(verb)).count();
    assert_eq!((of("present _acme-challenge."), of("cleanup _acme-challenge.")), (2, 2), "{log}");
    let names = log.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
    let extra: Vec<_> =
        names.filter(|name| !["PATH", "LANG", "PWD", "_", "OLDPWD", "SHLVL"].contains(name)).collect();
    assert!(extra.is_empty(), "next to nothing is in its environment: {extra:?}");
}

#[test]
fn what_the_program_says_is_told() {
    if lacks("what_the_program_says_is_told", &["pebble", "pebble-challtestsrv"]) {
        return;
    }
    let bench = Bench::start(Setup::default());
    let folder = tempfile::tempdir().unwrap();
    let path = hook(folder.path(), "echo asked for $1\necho the provider is on holiday >&2\nexit 3\n");
    bench.serve("shop.example.org");
    let dns = Some(DnsDriver::Hook { path, resolver: Some(bench.names.dns) });
    bench.set(AcmeChange { challenge: Some(ChallengeKind::Dns01), dns, ..bench.change() });
    bench.until_told("shop.example.org", "acme.dns-hook");
    let told = bench.progress("shop.example.org");
    assert!(told.contains("exit status: 3\\nasked for present\\nthe provider is on holiday"), "{told}");
}

/// bind9, the primary server of example.org, which takes updates signed with a key.
struct Named {
    address: SocketAddr,
    key: String,
    child: Child,
    _folder: TempDir,
}

impl Named {
    fn start(algorithm: &str) -> Named {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let key = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlLi4=".to_owned();
        let config = format!(
            "options {{ directory \"{place}\"; pid-file none; session-keyfile none; listen-on-v6 {{ none; }};\n\
             listen-on port {} {{ 127.0.0.1; }}; recursion no; notify no; dnssec-validation no; }};\n\
             controls {{ }};\n\
             key \"hop3\" {{ algorithm {algorithm}; secret \"{key}\"; }};\n\
             zone \"example.org\" {{ type primary; file \"zone\"; allow-update {{ key \"hop3\"; }}; }};\n",
            address.port()
        );
        let zone = "$TTL 60\n@ SOA ns ada 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n";
        fs::write(folder.path().join("named.conf"), config).unwrap();
        fs::write(folder.path().join("zone"), zone).unwrap();
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut child = Command::new("named")
            .args(["-g", "-4", "-n", "1", "-c"])
            .arg(folder.path().join("named.conf"))
            .env("PATH", path)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // Read to its end, so that it is never stopped by a full pipe.
            lines.map_while(Result::ok).filter(|line| line.ends_with(" running")).for_each(|_| {
                ready.send(()).ok();
            });
        });
        is_ready.recv_timeout(PATIENCE).unwrap();
        Named { address, key, child, _folder: folder }
    }

    fn driver(&self, algorithm: &str, key: &str) -> Option<DnsDriver> {
        Some(DnsDriver::Update(DnsUpdate {
            server: self.address,
            key_name: Some("hop3".into()),
            key_algorithm: Some(algorithm.into()),
            key: Some(Secret::new(key.into())),
        }))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn updates_of_the_zone_prove_a_wildcard() {
    if lacks("updates_of_the_zone_prove_a_wildcard", &["pebble", "pebble-challtestsrv", "named"]) {
        return;
    }
    for algorithm in ["hmac-sha256", "hmac-sha512"] {
        let named = Named::start(algorithm);
        let bench = Bench::believing(Setup::default(), named.address);
        bench.serve("*.example.org");
        bench.serve("*.deep.down.example.org");
        let wrong = named.driver(algorithm, "d3Jvbmcga2V5");
        bench.set(AcmeChange { dns: wrong, ..bench.change() });
        bench.until_told("_.example.org", "acme.dns-update");
        let told = bench.progress("_.example.org");
        assert!(told.contains("_acme-challenge.example.org: it answers: "), "{told}");
        let dns = named.driver(algorithm, &named.key);
        bench.set(AcmeChange { dns, ..AcmeChange::default() });
        bench.until_there("_.example.org");
        bench.until_there("_.deep.down.example.org");
        // The record is gone before the certificate is asked for.
        until("all is told", || !bench.progress("_.deep.down.example.org").contains("acme."));
    }
}
