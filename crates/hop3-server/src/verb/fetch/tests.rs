// SPDX-License-Identifier: Apache-2.0
//! Addresses that must not be fetched from.

use super::*;

#[test]
fn private_and_disguised_addresses_are_not_public() {
    for text in [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "fd00::1",
        "fe80::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        assert!(!is_public(text.parse().unwrap()), "{text}");
    }
    assert!(is_public("9.9.9.9".parse().unwrap()));
    assert!(is_public("2620:fe::9".parse().unwrap()));
}

#[test]
fn only_plain_addresses_are_parsed() {
    for url in [
        "",
        "file:///etc/passwd",
        "ext::sh -c id",
        "-u./payload",
        "https://",
        "https://a b/",
        "https://u:p@host/x",
        "gopher://x/",
        "https://-oProxyCommand=x/",
        "http://host:99999/",
        "https://h\n/x",
        "/etc",
        "host:path",
        "https://public.example?@/x",
        "https://public.example?x/y",
        "https://public.example#x/y",
        "https://public.example\\x/y",
        "http://%31%32%37.0.0.1/x",
        "http://2001:db8::1:80/x",
        "http://[::1]x/",
        "ssh://g#it@public.example/x",
        "git://public.example[]/x",
    ] {
        assert!(parse(url).is_err(), "{url:?}");
    }
    assert_eq!(parse("https://example.org/a.git").unwrap(), ("example.org".into(), 443));
    assert_eq!(parse("ssh://git@example.org:2222/a").unwrap(), ("example.org".into(), 2222));
}
