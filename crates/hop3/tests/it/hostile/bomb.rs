// SPDX-License-Identifier: Apache-2.0
//! Small things that unfold to large ones, and large ones as they are: refused within bounds of memory and disk.

use super::archive::{Member, file, tar, upload};
use super::git::{push_tree, receive, tree};
use crate::harness::{Hop, example};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const MIB: u64 = 1 << 20;
/// What git may allocate for one object (256 MiB), and itself.
const GIT_MEMORY: u64 = 320 * MIB;
const SERVER_MEMORY: u64 = 160 * MIB;

/// The greatest resident size a process has had.
fn peak_of(status: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Greatest resident size of the processes that this server started for git.
fn peak_of_git(hop: &Hop) -> u64 {
    let mark = [b"HOP3_ROOT=", hop.root().as_os_str().as_bytes(), b"\0"].concat();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let of_git = processes.filter(|process| {
        let is_git = std::fs::read(process.path().join("comm")).is_ok_and(|comm| comm.starts_with(b"git"));
        let environment = || std::fs::read(process.path().join("environ")).unwrap_or_default();
        is_git && environment().windows(mark.len()).any(|part| part == mark)
    });
    of_git.filter_map(|process| peak_of(&process.path().join("status"))).max().unwrap_or(0)
}

/// Does that while looking at git's memory; gives what was done and the most that was seen.
fn watched<T>(hop: &Hop, work: impl FnOnce() -> T) -> (T, u64) {
    let (is_done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                peak.fetch_max(peak_of_git(hop), Ordering::SeqCst);
                std::thread::yield_now();
            }
        });
        let done = work();
        is_done.store(true, Ordering::SeqCst);
        done
    });
    (done, peak.into_inner())
}

/// Nothing was deployed, nothing is left, and the server has not grown.
#[track_caller]
fn assert_refused(hop: &Hop, what: &str) {
    assert!(hop.get("site", "/").text().contains("Hello World!"), "{what} serves");
    assert_eq!(hop.json(["app", "info", "site", "--json"])["release"], 1, "{what}");
    assert_eq!(std::fs::read_dir(hop.root().join("artifacts")).unwrap().count(), 1, "{what} leaves files");
    let pid = hop.pid_of("server").unwrap();
    let peak = peak_of(Path::new(&format!("/proc/{pid}/status"))).unwrap();
    assert!(peak < SERVER_MEMORY, "{what}: the server took {} MiB", peak / MIB);
}

/// What lies beneath a directory, in bytes on the disk.
fn taken(directory: &Path) -> u64 {
    let said = Command::new("du").args(["-s", "-B1"]).arg(directory).output().unwrap();
    String::from_utf8(said.stdout).unwrap().split('\t').next().unwrap().parse().unwrap()
}

#[test]
fn a_tree_that_unfolds_without_end_is_refused() {
    let hop = Hop::start();
    let repository = hop.push("site", &example("apps/static-hello"));
    let names: Vec<String> = (0..10).map(|i| format!("d{i}")).collect();
    let blob = super::git::object(&repository, &["hash-object", "-w", "--stdin"], b"boom");
    let ten = |mode, object: &str| {
        let entries: Vec<_> = names.iter().map(|name| (mode, name.as_str(), object.to_owned())).collect();
        tree(&repository, &entries)
    };
    // Ten objects, a thousand million files.
    let folder = (0..8).fold(ten("100644", &blob), |folder, _| ten("40000", &folder));
    let (pushed, peak) = watched(&hop, || push_tree(&hop, &repository, "site", &[("40000", "d", folder)]));
    assert!(!pushed.ok && pushed.text.contains("more than 200000 files and folders"), "{}", pushed.text);
    assert!(peak < GIT_MEMORY, "git took {} MiB", peak / MIB);
    assert_refused(&hop, "a tree");
}

#[test]
fn a_blob_that_unfolds_to_more_than_the_limit_is_refused() {
    let hop = Hop::start();
    let repository = hop.push("site", &example("apps/static-hello"));
    let zeros = std::fs::File::create(repository.path.join("zeros")).unwrap();
    zeros.set_len((1 << 30) + 1).unwrap();
    repository.git(["config", "core.bigFileThreshold", "1m"]).expect_ok();
    repository.git(["config", "core.compression", "1"]).expect_ok();
    repository.commit("five megabytes that are a gigabyte");
    let (pushed, peak) = watched(&hop, || repository.push(&hop.remote("site"), "main"));
    assert!(!pushed.ok && pushed.text.contains("more than 1073741824 bytes"), "{}", pushed.text);
    assert!(peak < GIT_MEMORY, "git took {} MiB", peak / MIB);
    assert_refused(&hop, "a blob");
    assert!(taken(&hop.root().join("apps")) < 64 * MIB, "the blob was kept");
}

/// `Adler-32` and stored blocks: zlib (RFC 1950, 1951) without compression, for at most 65,535 bytes.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let size = u16::try_from(bytes.len()).unwrap();
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    [
        &[0x78, 0x01, 0x01][..],
        &size.to_le_bytes(),
        &(!size).to_le_bytes(),
        bytes,
        &(b << 16 | a).to_be_bytes(),
    ]
    .concat()
}

/// A number as deltas have it: seven bits a byte, the lowest first.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Header of a packed object: kind and size.
fn header(kind: u8, size: usize) -> Vec<u8> {
    let (low, high) = ((size & 15) as u8, (size >> 4) as u64);
    let first = kind << 4 | low;
    if high == 0 { vec![first] } else { [vec![first | 0x80], varint(high)].concat() }
}

/// How far back the base of a delta begins (gitformat-pack: each further byte counts one more).
fn distance(mut back: usize) -> Vec<u8> {
    let mut bytes = vec![(back & 0x7f) as u8];
    while back >= 0x80 {
        back = (back >> 7) - 1;
        bytes.insert(0, (back & 0x7f) as u8 | 0x80);
    }
    bytes
}

/// A delta whose result is its base, twice.
fn doubling(base: u64) -> Vec<u8> {
    const MOST: u64 = 0xff_ffff;
    let mut delta = [varint(base), varint(base * 2)].concat();
    for _ in 0..2 {
        let mut at = 0;
        while at < base {
            let size = MOST.min(base - at);
            delta.push(0xff);
            delta.extend_from_slice(&(at as u32).to_le_bytes());
            delta.extend_from_slice(&(size as u32).to_le_bytes()[..3]);
            at += size;
        }
    }
    delta
}

/// A pack of one small blob and deltas that each double what came before.
fn doublings(count: u32) -> Vec<u8> {
    let blob = vec![b'x'; 65_000];
    let mut pack = [&b"PACK"[..], &2u32.to_be_bytes(), &(count + 1).to_be_bytes()].concat();
    let (mut begin, mut size) = (pack.len(), blob.len() as u64);
    pack.extend([header(3, blob.len()), stored(&blob)].concat());
    for _ in 0..count {
        let delta = doubling(size);
        let next = pack.len();
        pack.extend([header(6, delta.len()), distance(next - begin), stored(&delta)].concat());
        (begin, size) = (next, size * 2);
    }
    let mut sum = Command::new("sha1sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sum.stdin.take().unwrap().write_all(&pack).unwrap();
    let mut hex = String::new();
    sum.stdout.take().unwrap().read_to_string(&mut hex).unwrap();
    sum.wait().unwrap();
    pack.extend((0..40).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()));
    pack
}

#[test]
fn deltas_that_double_without_end_are_refused() {
    let hop = Hop::start();
    let repository = hop.push("site", &example("apps/static-hello"));
    let head = repository.git(["rev-parse", "HEAD"]).expect_ok().stdout.trim().to_owned();
    let command = |branch: &str| format!("{} {head} refs/heads/{branch}", "0".repeat(40));
    // The pack is a right one: as long as it stays small, it is taken.
    let small = receive(&hop, &command("small"), &doublings(3)).text();
    assert!(small.contains("ok refs/heads/small"), "{small}");
    let bomb = doublings(16);
    assert!((bomb.len() as u64) < MIB, "{} bytes", bomb.len());
    let (answer, peak) = watched(&hop, || receive(&hop, &command("bomb"), &bomb));
    assert!(!answer.text().contains("ok refs"), "{}", answer.text());
    // A doubling is made beside what it doubles.
    assert!(peak < 2 * GIT_MEMORY, "git took {} MiB", peak / MIB);
    assert_refused(&hop, "a chain of deltas");
}

#[test]
fn archives_beyond_the_limits_are_refused() {
    let hop = Hop::start();
    hop.push("site", &example("apps/static-hello"));
    let names: Vec<String> = (0..200_001).map(|i| i.to_string()).collect();
    let many: Vec<Member<'_>> = names.iter().map(|name| file(name, "")).collect();
    let many = upload(&hop, "site", &tar(&many)).text();
    assert!(many.contains("more than 200000 files and folders"), "{many}");
    assert_refused(&hop, "many files");

    // Its header claims 8 GiB less one byte; nothing of it follows.
    let mut claim = tar(&[file("claim", "")]);
    claim[124..136].copy_from_slice(b"77777777777\0");
    let sum: u32 = claim[..512].iter().map(|b| u32::from(*b)).sum::<u32>()
        - claim[148..156].iter().map(|b| u32::from(*b)).sum::<u32>()
        + 8 * 32;
    claim[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let claim = upload(&hop, "site", &claim).text();
    assert!(claim.contains("more than 1073741824 bytes unpacked"), "{claim}");
    assert_refused(&hop, "a claim");
}

#[test]
fn an_upload_beyond_the_limit_is_refused_and_not_kept() {
    let hop = Hop::start();
    hop.push("site", &example("apps/static-hello"));
    let size = (1u64 << 30) + 512;
    let head = format!(
        "POST /api/apps/site/deployments HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-tar\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n",
        hop.token
    );
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", hop.port)).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answer = std::thread::spawn(move || {
        let mut answer = String::new();
        reader.read_to_string(&mut answer).map(|_| answer)
    });
    stream.write_all(head.as_bytes()).unwrap();
    // The server may answer, and close, before it has all.
    std::io::copy(&mut std::io::repeat(0).take(size), &mut stream).ok();
    let answer = answer.join().unwrap().unwrap();
    assert!(answer.contains("source.too-large") && answer.contains("larger than 1 GiB"), "{answer}");
    assert_refused(&hop, "an upload");
    assert!(taken(&hop.root()) < 64 * MIB, "the upload was kept");
}
