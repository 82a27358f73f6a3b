// SPDX-License-Identifier: Apache-2.0
//! The loop over an archive: caps, order, kinds. Every byte is read once and hashed on its way to the file.
//!
//! Invariant: on an error, whatever was written lies in `into`, which the caller removes.

use super::contents::{Contents, Node};
use super::member::{Extensions, Member, MemberKind, bad_archive};
use super::path::{EntryPath, check_link, quoted};
use super::tree::Tree;
use crate::disk;
use hop3_core::{Kind, Problem};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::io::{Cursor, Read, Write};
use std::path::Path;

const CHUNK: usize = 64 << 10;
/// What may follow the end mark: tar pads to a record of its choice with zeros.
const MAX_PADDING: u64 = 1 << 20;
/// Names are remembered until the end, so they are what an archive makes us hold in memory.
const MAX_NAMES: usize = 64 << 20;

/// How much an upload may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: u64,
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 1 << 30, entries: 200_000 }
    }
}

/// What was counted of a tree, before anything of it is read or written.
pub(crate) struct Size {
    limits: Limits,
    entries: u64,
    bytes: u64,
}

impl Size {
    pub(crate) fn new(limits: Limits) -> Size {
        Size { limits, entries: 0, bytes: 0 }
    }

    /// Counts one more entry.
    pub(crate) fn add(&mut self, bytes: u64) -> Result<(), Problem> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.entries > self.limits.entries {
            return Err(too_large(format!("more than {} files and folders", self.limits.entries)));
        }
        if self.bytes > self.limits.bytes {
            return Err(too_large(format!("more than {} bytes unpacked", self.limits.bytes)));
        }
        Ok(())
    }
}

/// What an archive held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    pub files: u64,
    /// Of the files' contents.
    pub bytes: u64,
    /// Hexadecimal SHA-256, equal for equal trees, however they were packed.
    pub digest: String,
    /// The commit, when git made the archive.
    pub commit: Option<String>,
    /// Worth telling the user: submodules, large file pointers.
    pub notes: Vec<String>,
}

/// Unpacks a tar stream into the empty directory `into`.
pub fn unpack(reader: impl Read, into: &Path, limits: &Limits) -> Result<Unpacked, Problem> {
    let ended = Cell::new(false);
    let reader = Watched { inner: refuse_other_formats(reader)?, ended: &ended };
    let tree = Tree::open(into).map_err(|e| not_written("", e.into()))?;
    let mut unpacking = Unpacking {
        tree,
        size: Size::new(*limits),
        contents: Contents::default(),
        written: 0,
        names: 0,
        files: 0,
        commit: None,
        notes: Vec::new(),
        buffer: vec![0; CHUNK],
    };
    let mut archive = tar::Archive::new(reader);
    let mut extensions = Extensions::default();
    for entry in archive.entries().map_err(|e| bad_archive(e.to_string()))?.raw(true) {
        let mut entry = entry.map_err(|e| bad_archive(e.to_string()))?;
        unpacking.size.add(entry.size())?;
        if !extensions.take(&mut entry, &mut unpacking.commit)? {
            let member = std::mem::take(&mut extensions).member(&entry)?;
            unpacking.add(member, &mut entry)?;
        }
    }
    // Without the end mark the stream was cut, even if that happened between two members.
    if ended.get() || !extensions.is_empty() {
        return Err(bad_archive("it ends before its end mark"));
    }
    check_padding(archive.into_inner())?;
    unpacking.finish()
}

struct Unpacking {
    tree: Tree,
    size: Size,
    contents: Contents,
    written: u64,
    names: usize,
    files: u64,
    commit: Option<String>,
    notes: Vec<String>,
    buffer: Vec<u8>,
}

impl Unpacking {
    fn add(&mut self, member: Member, content: &mut impl Read) -> Result<(), Problem> {
        let path = EntryPath::parse(&member.name)?;
        match member.kind {
            MemberKind::Folder => self.add_folder(&path),
            _ if path.is_root() => Err(super::path::bad_path(".", "only a folder can have that name")),
            MemberKind::File { executable } => {
                self.add_parent(&path)?;
                self.add_file(path, executable, content)
            }
            MemberKind::Link { target } => {
                self.add_parent(&path)?;
                self.add_link(path, &target)
            }
        }
    }

    fn add_parent(&mut self, path: &EntryPath) -> Result<(), Problem> {
        match path.split() {
            Some((folder, _)) => self.add_folder(&folder),
            None => Ok(()),
        }
    }

    /// Makes a folder and those above it. Depth is bounded by `EntryPath`.
    fn add_folder(&mut self, path: &EntryPath) -> Result<(), Problem> {
        if path.is_root() {
            return Ok(());
        }
        self.contents.check(path, &Node::Folder)?;
        if self.contents.contains(path) {
            return Ok(());
        }
        self.add_parent(path)?;
        // A long name may make hundreds of folders of which the archive has no entry.
        self.size.add(0)?;
        self.tree.create_folder(path).map_err(|e| not_written(path.as_str(), e.into()))?;
        self.remember(path.clone(), Node::Folder)
    }

    fn add_file(
        &mut self,
        path: EntryPath,
        executable: bool,
        content: &mut impl Read,
    ) -> Result<(), Problem> {
        self.contents.check(&path, &Node::File { executable, digest: [0; 32] })?;
        let failed = |e: std::io::Error| not_written(path.as_str(), e);
        let mut file = self.tree.create_file(&path, executable).map_err(|e| failed(e.into()))?;
        let mut sum = Sha256::new();
        let mut size = 0;
        loop {
            let n = fill(content, &mut self.buffer).map_err(|e| bad_archive(e.to_string()))?;
            if size == 0 {
                note(&path, &self.buffer[..n], &mut self.notes);
            }
            if n == 0 {
                break;
            }
            size += n as u64;
            sum.update(&self.buffer[..n]);
            file.write_all(&self.buffer[..n]).map_err(failed)?;
        }
        self.files += 1;
        self.written += size;
        self.remember(path, Node::File { executable, digest: sum.finalize().into() })
    }

    fn add_link(&mut self, path: EntryPath, target: &[u8]) -> Result<(), Problem> {
        let target = check_link(&path, target)?.to_owned();
        let node = Node::Link { target };
        self.contents.check(&path, &node)?;
        if let Node::Link { target } = &node {
            self.tree.create_link(&path, target).map_err(|e| not_written(path.as_str(), e.into()))?;
        }
        self.remember(path, node)
    }

    fn remember(&mut self, path: EntryPath, node: Node) -> Result<(), Problem> {
        self.names += path.as_str().len() + if let Node::Link { target } = &node { target.len() } else { 0 };
        if self.names > MAX_NAMES {
            return Err(too_large("its names alone fill 64 MiB".to_owned()));
        }
        self.contents.put(path, node)
    }

    fn finish(self) -> Result<Unpacked, Problem> {
        if self.files == 0 {
            return Err(Problem::new(Kind::User, "source.empty", "there is no file in what was sent")
                .hint("commit the app's files first, or name its folder: hop3 deploy DIR"));
        }
        Ok(Unpacked {
            files: self.files,
            bytes: self.written,
            digest: self.contents.digest(),
            commit: self.commit,
            notes: self.notes,
        })
    }
}

/// Reads until the buffer is full or the content ends: a pipe gives what it has, which may be a few bytes.
fn fill(content: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Tells what git knows about and an archive does not carry.
fn note(path: &EntryPath, start: &[u8], notes: &mut Vec<String>) {
    const MAX_NOTES: usize = 5;
    const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
    if notes.len() >= MAX_NOTES {
        return;
    }
    if path.as_str() == ".gitmodules" {
        notes
            .push("the repository has submodules, which are not fetched: their folders are empty".to_owned());
    }
    if start.starts_with(POINTER) {
        notes.push(format!(
            "{} is a Git LFS pointer: the large file itself is not fetched",
            quoted(path.as_str())
        ));
    }
    let says = |word: &[u8]| start.windows(word.len()).any(|w| w == word);
    if path.as_str() == ".gitattributes" && says(b"export-ignore") {
        notes.push("files marked export-ignore in .gitattributes are left out".to_owned());
    }
}

/// Knows the end of the stream from the end mark of the archive.
struct Watched<'a, R> {
    inner: R,
    ended: &'a Cell<bool>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if n == 0 && !buffer.is_empty() {
            self.ended.set(true);
        }
        Ok(n)
    }
}

/// Looks at the first bytes, so that a compressed upload is told as what it is.
fn refuse_other_formats(mut reader: impl Read) -> Result<impl Read, Problem> {
    let mut start = Vec::with_capacity(512);
    reader.by_ref().take(512).read_to_end(&mut start).map_err(|e| bad_archive(e.to_string()))?;
    let known: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "gzip"),
        (b"PK", "zip"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"7z\xbc\xaf", "7z"),
    ];
    // A tar begins with a file's name, which may begin with the same letters.
    let is_tar = start.get(257..262) == Some(b"ustar");
    match known.iter().find(|(magic, _)| start.starts_with(magic) && !is_tar) {
        Some((_, name)) => Err(bad_archive(format!("it is a {name} file"))),
        None if start.len() < 512 => Err(bad_archive("it is shorter than a tar header")),
        None => Ok(Cursor::new(start).chain(reader)),
    }
}

fn check_padding(mut rest: impl Read) -> Result<(), Problem> {
    let mut buffer = [0; 8192];
    let mut seen = 0;
    loop {
        let n = rest.read(&mut buffer).map_err(|e| bad_archive(e.to_string()))?;
        seen += n as u64;
        if n == 0 {
            return Ok(());
        }
        if seen > MAX_PADDING || buffer[..n].iter().any(|b| *b != 0) {
            return Err(bad_archive("something follows its end mark"));
        }
    }
}

fn too_large(what: String) -> Problem {
    Problem::new(Kind::User, "source.too-large", format!("the app's source is too large: {what}"))
        .hint("leave out what is not source with .gitignore or .hop3ignore")
}

fn not_written(path: &str, error: std::io::Error) -> Problem {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        // The checks before make these impossible; if they are wrong, the kernel still says no.
        Some(Errno::XDEV | Errno::LOOP | Errno::NOTDIR) => {
            super::path::bad_path(path, "it lies behind a link")
        }
        _ if disk::is_full(&error) => disk::full().detail(quoted(path)),
        _ => Problem::new(Kind::Unavailable, "source.not-written", "the source could not be written to disk")
            .detail(format!("{}: {error}", quoted(path)))
            .hint("see what the server's disk says in its system log"),
    }
}
