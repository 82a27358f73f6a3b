// SPDX-License-Identifier: Apache-2.0
//! What is an address, and what it says.

use super::Address;

fn parts(url: &str) -> (String, Option<String>, Option<String>, String, u16, Option<String>) {
    let Address { scheme, user, password, host, port, name } = match Address::parse(url) {
        Ok(address) => address,
        Err(problem) => panic!("{url}: {}", problem.title),
    };
    (scheme, user, password, host, port, name)
}

#[test]
fn parts_are_found_and_decoded() {
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        parts("Postgres://shop:a%40b%3Ac@db.example.org:6432/shop?sslmode=require"),
        ("postgres".into(), some("shop"), some("a@b:c"), "db.example.org".into(), 6432, some("shop"))
    );
    assert_eq!(
        parts("redis://:secret@[::1]/0"),
        ("redis".into(), None, some("secret"), "::1".into(), 6379, some("0"))
    );
    assert_eq!(
        parts("smtp://mail.example.org"),
        ("smtp".into(), None, None, "mail.example.org".into(), 25, None)
    );
    // Whoever forgets to encode an @ in a password is understood all the same.
    assert_eq!(parts("mysql://u:p@ss@h/d").2, some("p@ss"));
    assert_eq!(parts("https://h?q=/x").5, None);
}

#[test]
fn what_is_no_address_is_refused_and_not_quoted() {
    for url in [
        "",
        "hunter2",
        "://hunter2",
        "1x://hunter2",
        "sqlite:hunter2",
        "sqlite:///hunter2",
        "postgres://u:hunter2@",
        "postgres://u:hunter2@h:0/",
        "postgres://u:hunter2@h:65536/",
        "postgres://u:hunter2@h:5x/",
        "postgres://u:hunter2@h1,h2/",
        "postgres://u:hunter2@h1:1,h2:2/",
        "postgres://u:hunter2%@h/",
        "postgres://u:hunter2%zz@h/",
        "postgres://u:hunter2%ff@h/",
        "postgres://u:hunter2@[::1/",
        "postgres://u:hunter2@[h]/",
        "postgres://u:hunter2@h/a b",
        "postgres://u:hunter2@h/a\nb",
        "mystery://u:hunter2@h/",
    ] {
        let problem = Address::parse(url).err().unwrap_or_else(|| panic!("{url} is taken"));
        assert_eq!(problem.code, "addon.bad-address");
        assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
    }
}

#[test]
fn slots_follow_schemes() {
    for (url, slot) in [
        ("postgresql://h/x", "database"),
        ("mysql://h/x", "database"),
        ("rediss://h", "redis"),
        ("amqps://h", "amqp"),
        ("smtps://h", "mail"),
        ("https://h", "service"),
        ("ldap://h:389", "ldap"),
    ] {
        assert_eq!(Address::parse(url).unwrap().slot(), slot);
    }
}
