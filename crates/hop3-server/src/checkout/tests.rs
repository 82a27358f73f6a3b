// SPDX-License-Identifier: Apache-2.0
//! The abuse corpus for archives, every header made by hand, and trees that git made.

use super::{Limits, Unpacked, unpack};
use hop3_core::Problem;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

mod git;
mod hostile;

/// Writes tar headers byte by byte, so that any of them can lie.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn member(mut self, kind: u8, name: &[u8], link: &[u8], content: &[u8]) -> Tar {
        self.header(kind, (name, link), 0o644, content.len() as u64);
        self.content(content)
    }

    fn file(self, name: &str, content: &str) -> Tar {
        self.member(b'0', name.as_bytes(), b"", content.as_bytes())
    }

    fn folder(self, name: &str) -> Tar {
        self.member(b'5', name.as_bytes(), b"", b"")
    }

    fn link(self, name: &str, target: &str) -> Tar {
        self.member(b'2', name.as_bytes(), target.as_bytes(), b"")
    }

    fn pax(self, key: &str, value: &[u8]) -> Tar {
        self.member(b'x', b"pax", b"", &record(key, value))
    }

    fn content(mut self, content: &[u8]) -> Tar {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn header(&mut self, kind: u8, (name, link): (&[u8], &[u8]), mode: u32, size: u64) {
        let mut header = [0; 512];
        header[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        header[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
        header[108..115].copy_from_slice(b"1750000");
        header[116..123].copy_from_slice(b"1750000");
        header[124..136].copy_from_slice(format!("{size:012o}").as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[148..156].copy_from_slice(b"        ");
        header[156] = kind;
        header[157..157 + link.len().min(100)].copy_from_slice(&link[..link.len().min(100)]);
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.0.extend_from_slice(&header);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() + rest != length {
        length += 1;
    }
    let mut text = format!("{length} {key}=").into_bytes();
    text.extend_from_slice(value);
    text.push(b'\n');
    text
}

/// A place for a tree, with a neighbour that must stay as it is.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tree")).unwrap();
        fs::create_dir(dir.path().join("other")).unwrap();
        fs::write(dir.path().join("other/canary"), "alive").unwrap();
        Place { dir }
    }

    fn tree(&self) -> std::path::PathBuf {
        self.dir.path().join("tree")
    }

    fn unpack(&self, archive: &[u8]) -> Result<Unpacked, Problem> {
        let result = unpack(archive, &self.tree(), &Limits::default());
        self.assert_neighbours_untouched();
        result
    }

    fn assert_neighbours_untouched(&self) {
        let names = |path: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(self.dir.path()), ["other", "tree"]);
        assert_eq!(names(&self.dir.path().join("other")), ["canary"]);
        assert_eq!(fs::read_to_string(self.dir.path().join("other/canary")).unwrap(), "alive");
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_plain_tree_is_written_with_plain_modes() {
    let place = Place::new();
    let mut tar = Tar::default().folder("./").folder("bin/").file("./a.txt", "one").file("deep/er/b", "two");
    tar.header(b'0', (b"bin/run", b""), 0o6751, 3);
    let tar =
        tar.content(b"#!x").link("bin/again", "run").link("up", "deep/er/b").link("bin/top", "../a.txt");
    let found = place.unpack(&tar.end()).unwrap();
    assert_eq!((found.files, found.bytes, found.commit), (3, 9, None));
    let tree = place.tree();
    assert_eq!(fs::read_to_string(tree.join("bin/top")).unwrap(), "one");
    assert_eq!(fs::read_to_string(tree.join("up")).unwrap(), "two");
    assert_eq!(mode(&tree.join("a.txt")), 0o644);
    assert_eq!(mode(&tree.join("bin/run")), 0o755, "setuid and setgid are dropped");
    assert_eq!(mode(&tree.join("deep")), 0o755);
}

#[test]
fn the_digest_is_that_of_the_tree() {
    let digest = |tar: Tar| Place::new().unpack(&tar.end()).unwrap().digest;
    let first = digest(Tar::default().file("a", "1").file("b/c", "2").link("l", "a"));
    assert_eq!(first.len(), 64);
    assert_eq!(first, digest(Tar::default().folder("b").link("./l", "a").file("b//c", "2").file("./a", "1")));
    let others = [
        Tar::default().file("a", "1").file("b/c", "3").link("l", "a"),
        Tar::default().file("a", "1").file("b/c", "2").file("l", "a"),
        Tar::default().file("a", "1").file("b/c", "2").link("l", "b"),
        Tar::default().file("a", "1").file("bc", "2").link("l", "a"),
        Tar::default().file("a", "1").file("b/c", "2"),
    ];
    for other in others {
        assert_ne!(first, digest(other));
    }
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let name = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let gnu =
        Tar::default().member(b'L', b"././@LongLink", b"", format!("{name}\0").as_bytes()).file("cut", "x");
    let pax = Tar::default().pax("path", name.as_bytes()).file("cut", "x");
    let newline = Tar::default().pax("path", b"a\nb").file("cut", "x");
    for (tar, name) in [(gnu, name.as_str()), (pax, name.as_str()), (newline, "a\nb")] {
        let place = Place::new();
        place.unpack(&tar.end()).unwrap();
        assert_eq!(fs::read_to_string(place.tree().join(name)).unwrap(), "x");
    }
}

#[test]
fn the_last_of_two_files_of_one_name_wins() {
    let place = Place::new();
    place.unpack(&Tar::default().file("a", "long first").file("a", "second").end()).unwrap();
    assert_eq!(fs::read_to_string(place.tree().join("a")).unwrap(), "second");
}

#[test]
fn submodules_and_large_file_pointers_are_told() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
    let tar = Tar::default().file(".gitmodules", "[submodule]").file("big.bin", pointer);
    let notes = Place::new().unpack(&tar.file(".gitattributes", "x export-ignore\n").end()).unwrap().notes;
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(
        notes[0].contains("submodules") && notes[1].contains("big.bin") && notes[2].contains("export-ignore")
    );
}
