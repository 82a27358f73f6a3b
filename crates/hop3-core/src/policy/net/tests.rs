// SPDX-License-Identifier: Apache-2.0
//! Which addresses a network holds, and what is none.

use super::Net;

#[test]
fn networks_hold_their_addresses() {
    let table = [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.1.2.3/8", "10.9.9.9", true),
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false),
        ("192.0.2.7", "::ffff:192.0.2.7", true),
        ("0.0.0.0/0", "203.0.113.1", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("::/0", "2001:db9::1", true),
        ("::/0", "10.0.0.1", false),
        ("::1", "::1", true),
    ];
    for (net, address, holds) in table {
        assert_eq!(net.parse::<Net>().unwrap().contains(address.parse().unwrap()), holds, "{net} {address}");
    }
}

#[test]
fn what_is_no_network_is_refused() {
    let corpus = [
        "",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/ 8",
        "10.0.0.0/8/8",
        "10.0.0/8",
        "010.0.0.1",
        "::/129",
        "::ffff:10.0.0.1",
        "example.org",
        "10.0.0.1\r\n",
        "[::1]",
        "10.0.0.0/",
        "fe80::1%eth0",
    ];
    for text in corpus {
        assert!(text.parse::<Net>().is_err(), "{text}");
    }
}
