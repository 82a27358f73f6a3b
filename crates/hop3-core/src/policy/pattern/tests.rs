// SPDX-License-Identifier: Apache-2.0
//! What patterns match, and where redirects cannot be made to lead.

use super::{PathPattern, Place};

#[test]
fn a_pattern_is_a_path_or_all_beneath_it() {
    let table = [
        ("/a", "/a", Some("")),
        ("/a", "/a/", None),
        ("/a/*", "/a", Some("")),
        ("/a/*", "/a/b/c", Some("/b/c")),
        ("/a/*", "/ab", None),
        ("/*", "/x", Some("/x")),
        ("/", "/", Some("")),
        ("/", "/x", None),
    ];
    for (pattern, path, rest) in table {
        assert_eq!(pattern.parse::<PathPattern>().unwrap().rest(path), rest, "{pattern} {path}");
    }
}

/// A rest that a visitor chose must not become another host.
#[test]
fn no_rest_leads_to_another_site() {
    let place = |to: &str, rest: &str| to.parse::<Place>().unwrap().with(rest);
    assert_eq!(place("/new/*", "/x"), "/new/x");
    assert_eq!(place("/*", "//evil.example"), "/evil.example");
    assert_eq!(place("/*", "/\\evil.example"), "/evil.example");
    assert_eq!(place("https://example.org/*", "/@evil.example"), "https://example.org/@evil.example");
    assert_eq!(place("https://example.org/*", ""), "https://example.org/");
    assert_eq!(place("/new", "/x"), "/new");
    for text in [
        "https://example.org*",
        "https://example.org",
        "//evil/*",
        "//*",
        "javascript:alert(1)",
        "https://a@b/x",
    ] {
        assert!(text.parse::<Place>().is_err(), "{text}");
    }
}

#[test]
fn what_is_no_path_is_refused() {
    for text in
        ["", "a", "/a*", "//*", "/*/b", "/a/**", "/a?b", "/a\r\nX: 1", "/a/../b", "/%2e%2e/b", "/(a+)+$ "]
    {
        assert!(text.parse::<PathPattern>().is_err(), "{text:?}");
    }
}
