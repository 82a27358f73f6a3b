// SPDX-License-Identifier: Apache-2.0
//! Data tests of options and users.

use super::super::mark::WithoutMark;
use super::{let_in, settings};
use hop3_core::addon::{AddonServer, Credential, WantedAddon};
use hop3_core::secret::Secret;
use std::collections::BTreeMap;
use std::io::Write;

fn addon(settings: &[(&str, &str)], user: &str, password: &str) -> WantedAddon {
    let server = AddonServer {
        name: "redis-1".parse().unwrap(),
        kind: "redis".parse().unwrap(),
        version: "redis".into(),
        user: None,
        port: 1,
        password: Secret::new("admin".into()),
        settings: BTreeMap::new(),
        pooler: None,
    };
    WantedAddon {
        name: "cache".parse().unwrap(),
        database: "cache_1".into(),
        server,
        credentials: vec![Credential { user: user.into(), password: Secret::new(password.into()) }],
        settings: settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    }
}

#[test]
fn options_are_what_redis_understands_or_refused() {
    let table = [
        (vec![], Some("maxmemory 0 maxmemory-policy noeviction appendfsync everysec")),
        (
            vec![("memory", "64MB"), ("eviction", "allkeys-lru"), ("durable", "yes")],
            Some("maxmemory 64mb maxmemory-policy allkeys-lru appendfsync always"),
        ),
        (vec![("memory", "much")], None),
        (vec![("memory", "64 mb")], None),
        (vec![("memory", "1\nSHUTDOWN")], None),
        (vec![("memory", "")], None),
        (vec![("eviction", "random")], None),
        (vec![("durable", "true")], None),
    ];
    for (given, expected) in table {
        let said = settings(&addon(&given, "cache_1_1", "secret"));
        let expected = expected.map(|line| format!("CONFIG SET {line}\nCONFIG REWRITE\n"));
        assert_eq!(said.ok(), expected, "{given:?}");
    }
}

#[test]
fn names_and_passwords_are_never_commands() {
    assert!(let_in(&addon(&[], "cache_1_1", "secret")).is_ok());
    for bad in ["", "a b", "a\nFLUSHALL", "ä", "a\"", ">a"] {
        assert!(let_in(&addon(&[], bad, "secret")).is_err(), "{bad:?}");
        assert!(let_in(&addon(&[], "cache_1_1", bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn a_backup_ends_where_the_data_end() {
    let data = [b"REDIS0010".as_slice(), &[0xff; 50]].concat();
    let mark = "0123456789abcdef".repeat(3);
    for (text, expected) in [
        ([&data, &mark.as_bytes()[..40]].concat(), data.clone()),
        (data.clone(), data.clone()),
        (Vec::new(), Vec::new()),
        (mark.as_bytes()[..39].to_vec(), mark.as_bytes()[..39].to_vec()),
    ] {
        for size in [1, 7, 1000] {
            let mut written = Vec::new();
            let mut writer = WithoutMark::new(&mut written);
            text.chunks(size).for_each(|chunk| writer.write_all(chunk).unwrap());
            writer.end().unwrap();
            assert_eq!(written, expected);
        }
    }
}
