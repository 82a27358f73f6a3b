// SPDX-License-Identifier: Apache-2.0
//! What the real Traefik says about configurations.

use super::{DYNAMIC, Traefik};
use crate::proxies::front::plan::Plan;
use crate::proxies::front::product::{Judged, Place, Product, program};
use hop3_core::route::{Address, Host, Pool, Route, RouteTable, Service, Target, Upstream};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What it thinks of a small table, once `change` has spoilt the file.
fn judged(folder: &Path, change: impl Fn(String) -> String) -> Option<Judged> {
    let Ok(program) = program(&Traefik) else {
        assert!(std::env::var_os("HOP3_NO_SKIP").is_none(), "traefik is not there");
        println!("SKIP front::traefik: it is not installed");
        return None;
    };
    let upstream = |port| Upstream { id: port, address: Address::Tcp("127.0.0.1:4001".parse().unwrap()) };
    let pool = Pool { upstreams: vec![upstream("a".into()), upstream("b".into())], ..Pool::default() };
    let routes = vec![Route { prefix: "/".into(), target: Target::Upstreams(pool) }];
    let hosts = ["a.example.org", "*.example.org", "192.0.2.1", "2001:db8::1"];
    let hosts = hosts.map(|host| Host(host.into())).to_vec();
    let table =
        RouteTable { services: vec![Service { name: "a".into(), hosts, routes, ..Service::default() }] };
    let place = Place {
        folder: folder.to_owned(),
        certificates: folder.to_owned(),
        http: "127.0.0.1:80".parse().unwrap(),
        https: Some("127.0.0.1:443".parse().unwrap()),
        behind: Address::Unix("/srv/behind.sock".into()),
        uncertified: [].into(),
        user: None,
    };
    let plan = Plan::of(&table, Traefik.abilities(), "traefik").unwrap();
    for (name, text) in Traefik.render(&plan, &place) {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let file = folder.join(DYNAMIC).join("routes.yml");
    fs::write(&file, change(fs::read_to_string(&file).unwrap())).unwrap();
    let mut command = Command::new(program);
    command.args(Traefik.check(folder, &place)).env_clear();
    Some(Traefik.judge(command, folder).unwrap())
}

fn said(change: impl Fn(String) -> String) -> Option<(bool, String)> {
    super::super::tests::said(|folder| judged(folder, change))
}

/// A certificate that is not there keeps no host from being served.
#[test]
fn what_is_rendered_is_taken() {
    let Some(told) = said(|text| text) else { return };
    assert_eq!(told, (true, String::new()));
}

/// Traefik itself would go on without the route, and say so in its log.
#[test]
fn a_route_that_it_does_not_understand_is_told() {
    let Some((is_good, words)) = said(|text| text.replace("Host(`192.0.2.1`)", "Host(`192.0.2.1`")) else {
        return;
    };
    assert!(!is_good && words.contains("s0@file: "), "{words}");
}

#[test]
fn a_word_that_it_does_not_know_is_told() {
    let Some((is_good, words)) = said(|text| text.replace("maxIdleConnsPerHost", "noSuchWord")) else {
        return;
    };
    assert!(!is_good && words.contains("noSuchWord"), "{words}");
}
