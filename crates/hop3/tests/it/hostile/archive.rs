// SPDX-License-Identifier: Apache-2.0
//! Archives made by hand, uploaded to the API: nothing is written outside, nothing is half deployed.

use super::{armed, assert_unharmed};
use crate::harness::{Answer, Hop, example};

/// One member: a 512-byte header (POSIX ustar), then the content in blocks.
pub(super) struct Member<'a> {
    name: &'a [u8],
    kind: u8,
    link: &'a [u8],
    mode: u32,
    content: &'a [u8],
}

pub(super) fn file<'a>(name: &'a str, content: &'a str) -> Member<'a> {
    Member { name: name.as_bytes(), kind: b'0', link: b"", mode: 0o644, content: content.as_bytes() }
}

fn link<'a>(kind: u8, name: &'a str, target: &'a str) -> Member<'a> {
    Member { kind, link: target.as_bytes(), ..file(name, "") }
}

pub(super) fn tar(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        let mut header = [0u8; 512];
        header[..member.name.len()].copy_from_slice(member.name);
        header[100..108].copy_from_slice(format!("{:07o}\0", member.mode).as_bytes());
        header[108..124].copy_from_slice(b"0000000\x000000000\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", member.content.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].copy_from_slice(b"        ");
        header[156] = member.kind;
        header[157..157 + member.link.len()].copy_from_slice(member.link);
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(member.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// An extension header of PAX with one record.
fn pax(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length += 1;
    }
    format!("{length}{rest}")
}

pub(super) fn upload(hop: &Hop, app: &str, tar: &[u8]) -> Answer {
    let mut request = format!(
        "POST /api/apps/{app}/deployments?create=true HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-tar\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        hop.token,
        tar.len()
    )
    .into_bytes();
    request.extend_from_slice(tar);
    hop.ask(request)
}

/// Archives with the code of the problem that refuses them.
fn refused(hop: &Hop) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let page = || file("index.html", "<p>x</p>");
    let one = |member: Member<'_>| tar(&[page(), member]);
    let canary = armed(hop, "{canary}");
    let up = "../".repeat(40) + canary.trim_start_matches('/');
    let (long_canary, long_name) = (pax("path", &canary), "n".repeat(300));
    let special = |kind| Member { kind, ..file("x", "") };
    vec![
        ("leads out", one(file("../x", "x")), "source.bad-path"),
        ("leads out far", one(file("../../../../../../../../../../../../../tmp/x", "x")), "source.bad-path"),
        (
            "leads out by PAX",
            tar(&[Member { kind: b'x', ..file("p", &pax("path", &up)) }, page()]),
            "source.bad-path",
        ),
        (
            "leads out by a long name",
            tar(&[Member { kind: b'L', ..file("l", &up) }, page()]),
            "source.bad-path",
        ),
        ("leads out in the middle", one(file("a/../../x", "x")), "source.bad-path"),
        ("absolute", one(file("/etc/hop3-was-here", "x")), "source.bad-path"),
        (
            "absolute by PAX",
            tar(&[Member { kind: b'x', ..file("p", &long_canary) }, page()]),
            "source.bad-path",
        ),
        ("into git", one(file(".git/hooks/post-checkout", "x")), "source.bad-path"),
        ("into GIT", one(file(".GIT/config", "x")), "source.bad-path"),
        ("into git~1", one(file("git~1/config", "x")), "source.bad-path"),
        ("not UTF-8", one(Member { name: b"a\xff", ..file("", "x") }), "source.bad-path"),
        ("300 bytes", tar(&[Member { kind: b'L', ..file("l", &long_name) }, page()]), "source.bad-path"),
        ("absolute link", one(link(b'2', "x", "/etc/passwd")), "source.link-outside"),
        ("link out", one(link(b'2', "x", "../../..")), "source.link-outside"),
        ("link out behind a name", one(link(b'2', "x", "a/../../..")), "source.link-outside"),
        (
            "link, then a file beneath",
            tar(&[page(), link(b'2', "x", "."), file("x/y", "x")]),
            "source.conflicting-entry",
        ),
        (
            "file, then a link of that name",
            tar(&[page(), file("x", "x"), link(b'2', "x", "y")]),
            "source.conflicting-entry",
        ),
        ("hard link out", one(link(b'1', "x", "/etc/shadow")), "source.unsupported-entry"),
        ("device", one(special(b'3')), "source.unsupported-entry"),
        ("block device", one(special(b'4')), "source.unsupported-entry"),
        ("fifo", one(special(b'6')), "source.unsupported-entry"),
        ("nothing", Vec::new(), "source.bad-archive"),
        ("empty", tar(&[]), "source.empty"),
        ("text", b"hello".repeat(1000), "source.bad-archive"),
        ("gzip", b"\x1f\x8b\x08\x00".repeat(400), "source.bad-archive"),
        ("zip", b"PK\x03\x04".repeat(400), "source.bad-archive"),
        ("cut", tar(&[file("index.html", &"x".repeat(5000))])[..2048].to_vec(), "source.bad-archive"),
        ("no end", tar(&[page()])[..1024].to_vec(), "source.bad-archive"),
    ]
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    let hop = Hop::start();
    let mut wrong = Vec::new();
    for (what, archive, code) in refused(&hop) {
        let answer = upload(&hop, "site", &archive).text();
        if !answer.contains(&format!("\"code\":\"{code}\"")) {
            wrong.push(format!("{what}: expected {code}: {answer}"));
        }
        assert_unharmed(&hop, what);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(std::fs::read_dir(hop.root().join("artifacts")).unwrap().count(), 0);
    assert!(!std::path::Path::new("/etc/hop3-was-here").exists());
    assert_eq!(hop.get("site", "/").status, 503);
    // The app is as good as new.
    hop.push("site", &example("apps/static-hello"));
    assert_eq!(hop.get("site", "/").status, 200);
}

#[test]
fn odd_archives_are_unpacked_safely() {
    let hop = Hop::start();
    let odd = tar(&[
        file("./index.html", "first"),
        Member { mode: 0o6777, ..file("setuid", "x") },
        file("index.html", "second"),
        link(b'2', "self", "self"),
        link(b'2', "inside", "index.html"),
        file("a\u{1b}[2Jb", "x"),
        file("line\nbreak", "x"),
    ]);
    let answer = upload(&hop, "site", &odd).text();
    assert!(answer.contains("deployment-succeeded") && !answer.contains('\u{1b}'), "{answer}");
    assert_eq!(hop.get("site", "/").text(), "second");
    assert_eq!(hop.get("site", "/inside").text(), "second");
    assert!(hop.get("site", "/self").status >= 400);
    let artifact = std::fs::read_dir(hop.root().join("artifacts")).unwrap().flatten().next().unwrap();
    let mode = std::fs::metadata(artifact.path().join("tree/setuid")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o7022, 0);
}

#[test]
fn an_upload_that_is_cut_off_deploys_nothing() {
    let hop = Hop::start();
    hop.push("site", &example("apps/static-hello"));
    let whole = tar(&[file("index.html", &"x".repeat(100_000))]);
    let request = format!(
        "POST /api/apps/site/deployments HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        hop.token,
        whole.len()
    );
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", hop.port)).unwrap();
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    std::io::Write::write_all(&mut stream, &whole[..50_000]).unwrap();
    drop(stream);
    assert!(upload(&hop, "site", &whole).text().contains("deployment-succeeded"));
    assert_eq!(hop.json(["app", "info", "site", "--json"])["release"], 2);
}
