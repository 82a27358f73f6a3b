// SPDX-License-Identifier: Apache-2.0
//! `SourceTree`: a source as builders and config parsers see it.
//!
//! Every read is resolved beneath the tree (openat2(2), RESOLVE_BENEATH): a link that leads out is as good as absent,
//! and no file larger than `MAX_FILE_BYTES` is read.

use crate::problem::{Kind, Problem};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Config and manifest files beyond this size are refused.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// A directory that came from outside and is not trusted.
pub struct SourceTree {
    root: PathBuf,
    dir: OwnedFd,
}

impl SourceTree {
    pub fn open(root: &Path) -> Result<SourceTree, Problem> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, root, flags, Mode::empty()).map_err(|e| {
            Problem::new(
                Kind::NotFound,
                "source.unreadable",
                format!("the folder {} cannot be read", root.display()),
            )
            .detail(e.to_string())
        })?;
        Ok(SourceTree { root: root.to_owned(), dir })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Tells whether a file or directory of that relative path is there.
    pub fn has(&self, path: &str) -> bool {
        self.open_beneath(path, OFlags::PATH).is_some()
    }

    pub fn has_dir(&self, path: &str) -> bool {
        self.open_beneath(path, OFlags::PATH | OFlags::DIRECTORY).is_some()
    }

    /// The same for a directory that is no link.
    pub fn is_own_dir(&self, path: &str) -> bool {
        self.open_beneath(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW).is_some()
    }

    /// Reads a text file; `None` when it is absent. Invalid UTF-8 and oversize are problems.
    pub fn read(&self, path: &str) -> Result<Option<String>, Problem> {
        let Some(bytes) = self.read_bytes(path)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|e| {
            Problem::new(Kind::Config, "source.not-text", format!("{path} is not UTF-8 text"))
                .detail(format!("the first bad byte is at offset {}", e.utf8_error().valid_up_to()))
        })?;
        Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)))
    }

    /// Reads a file as bytes; `None` when it is absent.
    pub fn read_bytes(&self, path: &str) -> Result<Option<Vec<u8>>, Problem> {
        let Some(fd) = self.open_beneath(path, OFlags::RDONLY | OFlags::NONBLOCK) else { return Ok(None) };
        let file = File::from(fd);
        let unreadable = |e: std::io::Error| {
            Problem::new(Kind::User, "source.unreadable", format!("{path} cannot be read"))
                .detail(e.to_string())
        };
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(Problem::new(
                Kind::Config,
                "source.too-large",
                format!("{path} is larger than 4 MiB"),
            )
            .hint("this file is read as configuration; keep data in another one"));
        }
        Ok(Some(bytes))
    }

    /// Names in a directory (`""` is the top), sorted; empty when it is absent.
    pub fn list(&self, path: &str) -> Vec<String> {
        let Some(fd) = self.open_beneath(path, OFlags::RDONLY | OFlags::DIRECTORY) else { return Vec::new() };
        let Ok(entries) = rustix::fs::Dir::new(fd) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter_map(|e| e.file_name().to_str().ok().map(str::to_owned))
            .filter(|n| n != "." && n != "..")
            .collect();
        names.sort();
        names
    }

    fn open_beneath(&self, path: &str, flags: OFlags) -> Option<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.dir, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve).ok()
    }
}
