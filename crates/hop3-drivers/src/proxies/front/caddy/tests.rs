// SPDX-License-Identifier: Apache-2.0
//! What the real Caddy says about configurations, and which certificates it shows.

use super::config::{sockets, with_sockets};
use super::{CONFIG, Caddy};
use crate::proxies::front::plan::Plan;
use crate::proxies::front::product::{Judged, Place, Product, program};
use hop3_core::route::{Address, Host, Pool, Route, RouteTable, Service, Target, Upstream};
use std::fs;
use std::path::Path;
use std::process::Command;

fn table() -> RouteTable {
    let upstream = Upstream { id: "a".into(), address: Address::Tcp("127.0.0.1:4001".parse().unwrap()) };
    let pool = Pool { upstreams: vec![upstream], ..Pool::default() };
    let routes = vec![Route { prefix: "/".into(), target: Target::Upstreams(pool) }];
    let hosts = ["a.example.org", "*.example.org", "192.0.2.1", "2001:db8::1"];
    let hosts = hosts.map(|host| Host(host.into())).to_vec();
    RouteTable { services: vec![Service { name: "a".into(), hosts, routes, ..Service::default() }] }
}

/// The table in its words, with certificates in the folder.
fn rendered(folder: &Path) -> String {
    let place = Place {
        folder: folder.to_owned(),
        certificates: folder.to_owned(),
        http: "127.0.0.1:80".parse().unwrap(),
        https: Some("127.0.0.1:443".parse().unwrap()),
        behind: Address::Unix("/srv/behind.sock".into()),
        uncertified: [].into(),
        user: None,
    };
    let plan = Plan::of(&table(), Caddy.abilities(), "caddy").unwrap();
    Caddy.render(&plan, &place).remove(0).1
}

/// What it thinks of the table, once `change` has spoilt the file.
fn judged(folder: &Path, change: impl Fn(String) -> String) -> Option<Judged> {
    let Ok(program) = program(&Caddy) else {
        assert!(std::env::var_os("HOP3_NO_SKIP").is_none(), "caddy is not there");
        println!("SKIP front::caddy: it is not installed");
        return None;
    };
    for host in ["a.example.org", "_.example.org"] {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-subj", "/CN=own", "-days", "30", "-keyout", "key.pem", "-out", "own.pem"])
            .args(["-addext", &format!("subjectAltName=DNS:{}", host.replace('_', "*"))])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        fs::write(folder.join(format!("{host}.pem")), read("own.pem") + &read("key.pem")).unwrap();
    }
    fs::write(folder.join(CONFIG), change(rendered(folder))).unwrap();
    let mut command = Command::new(program);
    // As whoever has files judged tells the addresses.
    let variables = [("HOP3_HTTP", "127.0.0.1:80"), ("HOP3_HTTPS", "127.0.0.1:443")];
    let place = super::super::tests::place(true);
    command.args(Caddy.check(folder, &place)).env_clear().envs(variables);
    Some(Caddy.judge(command, folder).unwrap())
}

fn said(change: impl Fn(String) -> String) -> Option<(bool, String)> {
    super::super::tests::said(|folder| judged(folder, change))
}

#[test]
fn what_is_rendered_is_taken() {
    let Some((is_good, words)) = said(|text| text) else { return };
    assert!(is_good, "{words}");
}

#[test]
fn a_word_that_it_does_not_know_is_told() {
    let Some((is_good, words)) = said(|text| text.replace("dial_timeout", "noSuchWord")) else { return };
    assert!(!is_good && words.contains("noSuchWord"), "{words}");
}

#[test]
fn a_certificate_that_is_not_there_is_told() {
    let Some((is_good, words)) = said(|text| text.replace("a.example.org.pem", "none.pem")) else { return };
    assert!(!is_good && words.contains("none.pem"), "{words}");
}

/// What is told differs from what is judged by the sockets alone.
#[test]
fn each_server_gets_its_sockets() {
    let text = rendered(Path::new("/srv/hop3/run/proxy/front"));
    let told = with_sockets(&text, &sockets(&[3, 4], &[5])).unwrap();
    let word = |word: &str| format!("[\"{{env.{word}}}\"]");
    let judged: serde_json::Value = serde_json::from_str(&text).unwrap();
    let judged = judged.to_string();
    assert!(judged.contains(&word("HOP3_HTTP")) && judged.contains(&word("HOP3_HTTPS")));
    let expected = judged.replace(&word("HOP3_HTTP"), r#"["fd/3","fd/4"]"#);
    assert_eq!(told, expected.replace(&word("HOP3_HTTPS"), r#"["fd/5"]"#));
    assert!(with_sockets("", "{}").is_err());
}

/// One that was killed leaves its socket; those of the living stay.
#[test]
fn sockets_of_the_dead_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    super::admin::prepare(folder.path()).unwrap();
    let own = super::admin::socket(folder.path(), std::process::id());
    let dead = super::admin::socket(folder.path(), u32::MAX);
    for socket in [&own, &dead] {
        fs::write(socket, "").unwrap();
    }
    super::admin::prepare(folder.path()).unwrap();
    assert!(own.exists() && !dead.exists());
}
