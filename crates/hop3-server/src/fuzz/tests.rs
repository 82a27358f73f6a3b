// SPDX-License-Identifier: Apache-2.0
//! The rules on what is known to be difficult, and on what was found once.

use super::*;

#[test]
fn what_comes_with_a_push_means_one_thing() {
    let (old, new) = ("0".repeat(40), "a".repeat(40));
    for branch in ["refs/heads/main", "refs/heads/master", "refs/tags/\u{9b}2J", "refs/heads/a\u{202e}b"] {
        ref_updates(format!("{old} {new} {branch}\n").as_bytes());
        ref_updates(format!("{new} {old} {branch}\n").as_bytes());
    }
    for command in
        ["git-receive-pack '/shop.git'", "git upload-pack \"shop\"", "git-receive-pack 'a b'", "\u{1b}[2J"]
    {
        ssh_command(command.as_bytes());
    }
    ssh_key(b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@here");
    for url in [
        "https://example.org/a.git",
        "ssh://git@example.org:22/a",
        "http://[::1]:80/",
        "https://a?b/c",
        "http://a#@b/",
    ] {
        fetch_url(url.as_bytes());
    }
}

#[test]
fn archives_stay_where_they_are_unpacked() {
    archive(b"\0f a\0\0hello\0f b/c\0\0x\0l b/d\0../a\0\0d e\0\0\0x ../x\0\0y\0");
    archive(b"\0l a\0b\0\0f a/x\0\0y\0");
    archive(b"\0p path\0../x\0\0f z\0\0y\0");
    archive(b"\0f a\0\0x\0l b\0c//d\0\0");
    archive(b"\x01not an archive");
}
