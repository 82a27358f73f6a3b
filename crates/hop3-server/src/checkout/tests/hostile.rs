// SPDX-License-Identifier: Apache-2.0
//! Archives that attack (corpus C): each is refused with its code, and its neighbours stay as they are.

use super::{Limits, Place, Tar, record, unpack};
use std::fs;
use std::io::Read;

/// What it is, the code it is refused with, the archive.
type Case = (&'static str, &'static str, Tar);

/// Members whose names lead elsewhere, or nowhere.
fn names() -> Vec<Case> {
    let file = |name: &str| Tar::default().file(name, "evil");
    let raw = |name: &[u8]| Tar::default().member(b'0', name, b"", b"evil");
    let pax = |name: &[u8]| Tar::default().pax("path", name).file("cut", "evil");
    let deep = "d/".repeat(300) + "f";
    vec![
        ("C01 climbs", "source.bad-path", file("../x")),
        ("C01 climbs within", "source.bad-path", file("a/../../x")),
        ("C01 pax", "source.bad-path", pax(b"../other/x")),
        ("C01 dot dot folder", "source.bad-path", Tar::default().folder("../new")),
        ("C02 absolute", "source.bad-path", file("/tmp/hop3-canary")),
        ("C16 invalid UTF-8", "source.bad-path", raw(b"a\xff")),
        ("C16 NUL", "source.bad-path", pax(b"a\0b")),
        ("C16 300 bytes", "source.bad-path", pax(&[b'x'; 300])),
        ("C16 empty", "source.bad-path", raw(b"")),
        ("C16 a file of a folder's name", "source.bad-path", raw(b"a/")),
        ("C16 a file of the tree's name", "source.bad-path", raw(b".")),
        ("C16 5000 bytes", "source.bad-path", pax("x/".repeat(2500).as_bytes())),
        ("B12 deep", "source.bad-path", pax(deep.as_bytes())),
        ("C17 another app", "source.bad-path", file("../../other/data/canary")),
        ("B10 .git", "source.bad-path", file(".git/config")),
        ("B10 .GIT", "source.bad-path", file("a/.GIT/hooks/x")),
        ("B10 trailing space", "source.bad-path", file(".git /config")),
        ("B10 trailing dot", "source.bad-path", file(".git./config")),
        ("B10 short name", "source.bad-path", file("GIT~1/config")),
        ("B10 stream", "source.bad-path", file(".git::$INDEX_ALLOCATION/config")),
        ("B10 ignorable", "source.bad-path", file(".g\u{200c}it/config")),
    ]
}

/// Links that lead out, and names that change their kind.
fn links() -> Vec<Case> {
    let file = |name: &str| Tar::default().file(name, "evil");
    let link = |target: &str| Tar::default().link("link", target);
    vec![
        ("C03 through a link out", "source.link-outside", link("/tmp").file("link/file", "evil")),
        (
            "C03 through a link in",
            "source.conflicting-entry",
            Tar::default().folder("d").link("l", "d").file("l/f", ""),
        ),
        (
            "C03 link replaces folder",
            "source.conflicting-entry",
            Tar::default().file("d/f", "").link("d", "x"),
        ),
        ("C04 link climbs", "source.link-outside", link("../../..")),
        ("C04 link to parent", "source.link-outside", link("..")),
        ("C04 link climbs later", "source.link-outside", Tar::default().link("a/b/l", "../../../other")),
        (
            "C04 link composes",
            "source.link-outside",
            Tar::default().link("a/l", "..").link("m", "a/l/../other"),
        ),
        ("C04 link in pax", "source.link-outside", Tar::default().pax("linkpath", b"/etc").link("l", "ok")),
        ("C04 empty link", "source.link-outside", link("")),
        ("C08 file then link", "source.conflicting-entry", file("a").link("a", "b")),
        ("C08 link then file", "source.conflicting-entry", Tar::default().link("a", "b").file("a", "evil")),
        ("C08 file then folder", "source.conflicting-entry", file("a").file("a/b", "evil")),
        ("C08 folder then file", "source.conflicting-entry", Tar::default().folder("a").file("a", "evil")),
    ]
}

/// Members that are no files, and extension headers that lie.
fn kinds() -> Vec<Case> {
    let of_kind =
        |kind: u8, link: &str| Tar::default().file("a", "").member(kind, b"x", link.as_bytes(), b"");
    vec![
        ("C05 hard link out", "source.unsupported-entry", of_kind(b'1', "/etc/shadow")),
        ("C05 hard link in", "source.unsupported-entry", of_kind(b'1', "a")),
        ("C06 character device", "source.unsupported-entry", of_kind(b'3', "")),
        ("C06 block device", "source.unsupported-entry", of_kind(b'4', "")),
        ("C06 fifo", "source.unsupported-entry", of_kind(b'6', "")),
        ("C06 contiguous", "source.unsupported-entry", of_kind(b'7', "")),
        ("C06 unknown", "source.unsupported-entry", of_kind(b'Z', "")),
        ("C09 sparse", "source.unsupported-entry", of_kind(b'S', "")),
        (
            "C09 pax sparse",
            "source.unsupported-entry",
            Tar::default().pax("GNU.sparse.major", b"1").file("a", ""),
        ),
        ("C09 two sizes", "source.bad-archive", Tar::default().pax("size", b"1").file("a", "evil")),
        ("C09 negative size", "source.bad-archive", Tar::default().pax("size", b"-1").file("a", "evil")),
        (
            "C09 bad record",
            "source.bad-archive",
            Tar::default().member(b'x', b"p", b"", b"99 path=x\n").file("a", ""),
        ),
        (
            "C09 great record",
            "source.bad-archive",
            Tar::default().pax("comment", &[b'x'; 70_000]).file("a", ""),
        ),
        ("C09 great name", "source.bad-archive", Tar::default().member(b'L', b"L", b"", &[b'x'; 70_000])),
        ("nothing", "source.empty", Tar::default()),
        ("only folders", "source.empty", Tar::default().folder("a")),
    ]
}

#[test]
fn every_hostile_archive_is_refused() {
    for (name, code, tar) in [names(), links(), kinds()].into_iter().flatten() {
        let place = Place::new();
        let problem = place.unpack(&tar.end()).expect_err(name);
        assert_eq!(problem.code, code, "{name}: {problem}");
        assert!(!problem.render().replace('\n', "").chars().any(char::is_control), "{name}: {problem:?}");
        assert!(problem.render().len() < 2000, "{name}");
    }
    assert!(!std::path::Path::new("/tmp/hop3-canary").exists());
}

#[test]
fn a_link_out_is_named_with_its_target() {
    let problem = Place::new().unpack(&Tar::default().link("conf/key", "/etc/shadow").end()).unwrap_err();
    expect_test::expect![[r#"
        error[source.link-outside]: the link "conf/key" leads to "/etc/shadow": absolute links do not lead to files of the app
        hint: make it a relative link to a file of the app, or replace it by the file itself
    "#]]
    .assert_eq(&problem.render());
}

#[test]
fn what_is_not_a_whole_archive_is_refused() {
    let whole = Tar::default().file("a", &"x".repeat(2000)).file("b", "y").end();
    let mut bad_sum = whole.clone();
    bad_sum[0] = b'z';
    let mut followed = whole.clone();
    followed.extend_from_slice(b"more");
    let garbage: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut corpus = vec![
        ("empty", Vec::new()),
        ("garbage", garbage),
        ("gzip", b"\x1f\x8b\x08\0".repeat(300)),
        ("zip", b"PK\x03\x04".repeat(300)),
        ("wrong sum", bad_sum),
        ("followed", followed),
        ("no end mark", whole[..whole.len() - 1024].to_vec()),
        ("C15 right magic only", {
            let mut block = vec![b'x'; 1024];
            block[257..262].copy_from_slice(b"ustar");
            block
        }),
        ("an extension of nothing", Tar::default().file("a", "").pax("path", b"b").end()),
    ];
    for cut in [1, 100, 511, 513, 1000, 2559, 2561, 3072] {
        corpus.push(("cut", whole[..cut].to_vec()));
    }
    for (name, archive) in corpus {
        let problem = Place::new().unpack(&archive).expect_err(name);
        assert_eq!(problem.code, "source.bad-archive", "{name} of {}: {problem}", archive.len());
    }
    let problem = Place::new().unpack(&b"\x1f\x8b\x08\0".repeat(300)).unwrap_err();
    assert_eq!(problem.detail, "it is a gzip file");
}

#[test]
fn the_caps_hold_before_anything_is_read() {
    let limits = Limits { bytes: 10_000, entries: 50 };
    let refused = |reader: &mut dyn Read| {
        let place = Place::new();
        let problem = unpack(reader, &place.tree(), &limits).unwrap_err();
        assert_eq!(problem.code, "source.too-large", "{problem}");
    };
    let mut many = Tar::default();
    for i in 0..51 {
        many = many.file(&format!("f{i}"), "");
    }
    refused(&mut &many.end()[..]);
    // One entry, but a hundred folders above it.
    refused(&mut &Tar::default().pax("path", ("d/".repeat(100) + "f").as_bytes()).file("cut", "").end()[..]);
    // C12: ten gigabytes of zeros announced by one header; none of them is read.
    let mut bomb = Tar::default();
    bomb.header(b'0', (b"zeros", b""), 0o644, 8 << 30);
    refused(&mut (&bomb.0[..]).chain(std::io::repeat(0)));
    // A size beyond all arithmetic (base 256).
    let mut absurd = Tar::default();
    absurd.header(b'0', (b"a", b""), 0o644, 0);
    absurd.0[124..136].copy_from_slice(&[0xff; 12]);
    assert!(Place::new().unpack(&absurd.end()).is_err());
}

#[test]
fn harmless_oddities_are_kept() {
    let tar = Tar::default()
        .link("itself", "itself")
        .link("nowhere", "missing/file")
        .file("A", "1")
        .file("a", "2")
        .file("..\\x", "3")
        .file("\u{1b}]0;title\u{7}", "4")
        .member(b'g', b"g", b"", &record("comment", b"0123456789012345678901234567890123456789"))
        .pax("SCHILY.xattr.security.capability", b"\x01\x02")
        .file("xattr", "5")
        .file(".gitignore", "6");
    let place = Place::new();
    let found = place.unpack(&tar.end()).unwrap();
    assert_eq!(found.commit.as_deref(), Some("0123456789012345678901234567890123456789"));
    assert_eq!(fs::read_to_string(place.tree().join("A")).unwrap(), "1");
    assert_eq!(fs::read_to_string(place.tree().join("a")).unwrap(), "2");
    assert!(fs::read(place.tree().join("itself")).is_err());
}
