// SPDX-License-Identifier: Apache-2.0
//! An external service against a listener of this machine.

use super::External;
use hop3_core::addon::{AddonServer, Credential, WantedAddon};
use hop3_core::driver::Addon;
use hop3_core::secret::Secret;
use std::collections::BTreeMap;
use std::net::TcpListener;

pub(in crate::addons) fn addon(url: &str, settings: &[(&str, &str)]) -> WantedAddon {
    WantedAddon {
        name: "far".parse().unwrap(),
        database: "far_1".to_owned(),
        server: AddonServer {
            name: "external-1".parse().unwrap(),
            kind: "external".parse().unwrap(),
            version: "elsewhere".to_owned(),
            user: None,
            port: 0,
            password: Secret::new(String::new()),
            settings: BTreeMap::new(),
            pooler: None,
        },
        credentials: vec![Credential { user: "far_1_1".to_owned(), password: Secret::new(url.to_owned()) }],
        settings: settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

fn variables(addon: &WantedAddon) -> Vec<String> {
    let binding = External.provision(addon).unwrap_or_else(|problem| panic!("{problem:?}"));
    binding.variables.iter().map(|(key, value)| format!("{key}={}", value.expose())).collect()
}

#[test]
fn a_service_that_answers_is_bound_with_its_parts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://u:p%2Fw@127.0.0.1:{port}/d?sslmode=require");
    let wanted = [
        "DATABASE_HOST=127.0.0.1".to_owned(),
        "DATABASE_NAME=d".to_owned(),
        "DATABASE_PASSWORD=p/w".to_owned(),
        format!("DATABASE_PORT={port}"),
        format!("DATABASE_URL={url}"),
        "DATABASE_USER=u".to_owned(),
    ];
    assert_eq!(variables(&addon(&url, &[])), wanted);
    assert!(External.status(&addon(&url, &[])).unwrap().is_up);
    let named = variables(&addon(&url, &[("variable", "LEDGER")]));
    assert!(named.contains(&format!("LEDGER={url}")) && named.contains(&"LEDGER_NAME=d".to_owned()));
}

#[test]
fn a_service_that_is_silent_is_refused_unless_told_otherwise() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("redis://:hunter2@127.0.0.1:{port}/0");
    let problem = External.provision(&addon(&url, &[])).err().unwrap();
    assert_eq!(problem.code, "addon.no-answer");
    assert!(!format!("{problem:?}").contains("hunter2"));
    let status = External.status(&addon(&url, &[])).unwrap();
    assert!(!status.is_up && status.trouble.unwrap().contains("does not answer"));
    let unchecked = addon(&url, &[("check", "no")]);
    assert!(variables(&unchecked).contains(&format!("REDIS_URL={url}")));
    assert!(External.status(&unchecked).unwrap().is_up);
    assert_eq!(
        External.provision(&addon(&url, &[("check", "maybe")])).err().unwrap().code,
        "addon.bad-option"
    );
}
