// SPDX-License-Identifier: Apache-2.0
//! The abuse corpus for names: every line is refused, and the refusal shows nothing dangerous.

use super::*;

#[test]
fn hostile_names_are_refused_and_shown_harmlessly() {
    let long = ["a".repeat(64), "a".repeat(255), "a".repeat(256), "a".repeat(4096)];
    let corpus = [
        "",
        ".",
        "..",
        "...",
        "-rf",
        "--help",
        "--upload-pack=touch${IFS}/tmp/p",
        "a/b",
        "../b",
        "/etc/passwd",
        "a\0b",
        "a\nb",
        "a\r\nX-Injected: 1",
        "a;id",
        "a&&id",
        "a|id",
        "a`id`",
        "$(id)",
        "${IFS}",
        "a'b",
        "a\"b",
        "a b",
        "a*",
        "a?",
        "[a]",
        "A",
        "аpp",
        "e\u{301}",
        "é",
        "a\u{202e}b",
        "a\u{200d}b",
        "1a",
        ".a",
        "a.",
        "a--b",
        "xn--a",
        "a-",
        "%n",
        "%s",
        "{0}",
        "{{7*7}}",
        "${7*7}",
        "<%= 7*7 %>",
        "'; DROP TABLE apps;--",
        "admin",
        "api",
        "www",
        "root",
        "hop3",
        "localhost",
        "default",
        "_global",
        "con",
        "nul",
    ];
    for text in corpus.iter().copied().chain(long.iter().map(String::as_str)) {
        let problem = text.parse::<AppName>().expect_err(&format!("{text:?} must be refused"));
        assert_eq!(problem.code, "app.bad-name");
        assert!(!problem.title.chars().any(char::is_control), "{:?}", problem.title);
        assert!(problem.title.len() < 400);
    }
}

#[test]
fn good_names_are_taken() {
    for text in ["a", "shop", "a-b-c", "a1", "my-app2"] {
        assert_eq!(text.parse::<AppName>().unwrap().as_str(), text);
    }
}

#[test]
fn domains() {
    let bad = [
        "",
        "*",
        "*.",
        "a.*.b",
        "..",
        "-a.com",
        "A.com",
        "a.com.",
        "a.com;id",
        "a.com -d evil",
        "a.com\n}server{",
        "a.com/path",
        "a.com:80",
        "127.0.0.1",
        "[::1]",
        "a..b",
        "é.com",
        "single",
    ];
    for text in bad {
        assert!(text.parse::<Domain>().is_err(), "{text:?}");
    }
    for text in ["shop.example.org", "*.example.org", "xn--bcher-kva.example", "a.localhost"] {
        assert!(text.parse::<Domain>().is_ok(), "{text:?}");
    }
}

#[test]
fn env_keys() {
    for text in ["", "A B", "A=B", "A;id", "$(id)", "A\n", "1A", "É"] {
        assert!(text.parse::<EnvKey>().is_err(), "{text:?}");
    }
    assert!("DATABASE_URL".parse::<EnvKey>().is_ok());
}

#[test]
fn domains_with_paths() {
    for (text, shown) in [
        ("example.org", "example.org"),
        ("example.org/", "example.org"),
        ("example.org/api", "example.org/api"),
        ("*.example.org/api/v1/", "*.example.org/api/v1"),
    ] {
        assert_eq!(text.parse::<super::DomainPath>().unwrap().to_string(), shown);
    }
    for text in [
        "/api",
        "example.org//api",
        "example.org/../api",
        "example.org/a/./b",
        "example.org/%2e%2e/api",
        "example.org/a?b",
        "example.org/a*",
        "example.org/a b",
        "example.org/a\r\nX: 1",
        "https://example.org/api",
    ] {
        assert!(text.parse::<super::DomainPath>().is_err(), "{text}");
    }
}

#[test]
fn a_volume_is_mounted_where_nothing_of_the_machine_is_hidden() {
    for path in ["uploads", "public/uploads", "/data", "/srv/shop", "/mnt/a_b-c.d", "..data", "/..data"] {
        assert_eq!(path.parse::<VolumePath>().unwrap().as_str(), path);
    }
    let hostile = [
        "",
        "/",
        "//",
        ".",
        "..",
        "/..",
        "a/../b",
        "a//b",
        "a/",
        "/data/",
        "/etc",
        "/usr/x",
        "/proc/1",
        "/var/lib/hop3",
        "/tmp",
        "a b",
        "a\0b",
        "a\nb",
        "~",
        "a:b",
        "é",
        "$HOME",
        "a\\b",
    ];
    for path in hostile {
        let problem = path.parse::<VolumePath>().unwrap_err();
        assert_eq!(problem.code, "storage.bad-path", "{path:?}");
    }
    assert!("a".repeat(256).parse::<VolumePath>().is_err());
}

#[test]
fn a_table_is_named_as_in_sql() {
    let parts = |text: &str| text.parse::<TableName>().unwrap().parts();
    let named = |schema: Option<&str>, table: &str| (schema.map(str::to_owned), table.to_owned());
    assert_eq!(parts("orders"), named(None, "orders"));
    assert_eq!(parts("Shop.Orders_2$"), named(Some("shop"), "orders_2$"));
    assert_eq!(parts("\"Order Lines\""), named(None, "Order Lines"));
    assert_eq!(parts("shop.\"a.b\"\"c\""), named(Some("shop"), "a.b\"c"));
    assert_eq!(parts("\"é; --\".x"), named(Some("é; --"), "x"));
    let long = "a".repeat(64);
    let hostile = [
        "",
        ".",
        "a.",
        ".a",
        "a.b.c",
        "a b",
        "a;b",
        "a--",
        "-a",
        "--all",
        "1a",
        "$a",
        "a'b",
        "a*",
        "é",
        "\"a",
        "a\"",
        "\"\"",
        "\"a\"b",
        "a\"b\"",
        "\"a\nb\"",
        "\"a\0b\"",
        "a\\",
        "a\n",
        long.as_str(),
    ];
    for text in hostile {
        assert_eq!(text.parse::<TableName>().unwrap_err().code, "addon.bad-table", "{text:?}");
    }
}
