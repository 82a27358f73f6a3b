// SPDX-License-Identifier: Apache-2.0
//! What a tar header means: extension headers (GNU long names, PAX records) folded into the member they describe.
//!
//! Invariant: an extension is read into memory only when it is small, and two headers that disagree about a size
//! are refused, since parsers that choose differently see different archives.

use super::path::{bad_path, quoted};
use hop3_core::{Kind, Problem};
use std::io::Read;
use tar::{Entry, EntryType};

/// More than any name needs; an archive may not make us hold more.
const MAX_EXTENSION: u64 = 64 << 10;

pub(super) enum MemberKind {
    Folder,
    File { executable: bool },
    Link { target: Vec<u8> },
}

/// One file, folder or link as the archive tells it, nothing checked.
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) kind: MemberKind,
}

/// What the extension headers before a member say about it.
#[derive(Default)]
pub(super) struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Extensions {
    /// Takes in an extension header. Answers false when the entry is a member itself. The commit that
    /// `git archive` tells in a global header is handed to `commit`.
    pub(super) fn take(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        commit: &mut Option<String>,
    ) -> Result<bool, Problem> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.path = Some(long_name(entry)?),
            EntryType::GNULongLink => self.link = Some(long_name(entry)?),
            EntryType::XHeader => self.take_pax(&read_extension(entry)?)?,
            EntryType::XGlobalHeader => {
                let data = read_extension(entry)?;
                *commit = records(&data)?.into_iter().find_map(commit_id).or(commit.take());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_pax(&mut self, data: &[u8]) -> Result<(), Problem> {
        for (key, value) in records(data)? {
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number(value)?),
                _ if key.starts_with(b"GNU.sparse") => self.sparse = true,
                // Owner, times, attributes and access lists are the uploader's, not the app's.
                _ => {}
            }
        }
        Ok(())
    }

    /// The member these extensions and its own header describe.
    pub(super) fn member(self, entry: &Entry<'_, impl Read>) -> Result<Member, Problem> {
        let header = entry.header();
        let name = self.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = String::from_utf8_lossy(&name);
        if self.size.is_some_and(|size| size != entry.size()) {
            return Err(bad_archive(format!("two sizes are given for {}", quoted(&shown))));
        }
        if self.sparse {
            return Err(unsupported(&shown, "a sparse file"));
        }
        let mode = header.mode().map_err(|e| bad_archive(e.to_string()))?;
        let kind = match header.entry_type() {
            EntryType::Regular if name.ends_with(b"/") => {
                return Err(bad_path(&shown, "a file's name ends with a slash"));
            }
            EntryType::Regular => MemberKind::File { executable: mode & 0o111 != 0 },
            EntryType::Directory => MemberKind::Folder,
            EntryType::Symlink => {
                let in_header = || header.link_name_bytes().map(|t| t.into_owned()).unwrap_or_default();
                MemberKind::Link { target: self.link.unwrap_or_else(in_header) }
            }
            other => return Err(unsupported(&shown, describe(other))),
        };
        Ok(Member { name, kind })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.path.is_none() && self.link.is_none() && self.size.is_none() && !self.sparse
    }
}

fn describe(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "a hard link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a named pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "of an unknown kind",
    }
}

fn unsupported(name: &str, what: &str) -> Problem {
    Problem::new(Kind::User, "source.unsupported-entry", format!("{} is {what}", quoted(name)))
        .hint("an app is made of plain files, folders and relative links; replace it or leave it out")
}

pub(super) fn bad_archive(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::User, "source.bad-archive", "what was uploaded is not a complete tar archive")
        .detail(detail)
        .hint("send an uncompressed tar of the app's folder; `hop3 deploy` does it for you")
}

fn long_name(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, Problem> {
    let mut name = read_extension(entry)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn read_extension(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, Problem> {
    let size = entry.size();
    if size > MAX_EXTENSION {
        return Err(bad_archive(format!("an extension header has {size} bytes")));
    }
    let mut data = Vec::with_capacity(size as usize);
    entry.read_to_end(&mut data).map_err(|e| bad_archive(e.to_string()))?;
    if data.len() as u64 != size {
        return Err(bad_archive("it ends in the middle of an extension header"));
    }
    Ok(data)
}

/// Key and value of a PAX record.
type Record<'a> = (&'a [u8], &'a [u8]);

/// The records of a PAX header: `LENGTH KEY=VALUE\n`, the length counting the whole record.
fn records(mut data: &[u8]) -> Result<Vec<Record<'_>>, Problem> {
    let bad = || bad_archive("a PAX record is malformed");
    let mut found = Vec::new();
    while !data.is_empty() {
        let space = data.iter().position(|b| *b == b' ').ok_or_else(bad)?;
        let length = number(&data[..space])? as usize;
        if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
            return Err(bad());
        }
        let record = &data[space + 1..length - 1];
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(bad)?;
        found.push((&record[..equals], &record[equals + 1..]));
        data = &data[length..];
    }
    Ok(found)
}

fn number(digits: &[u8]) -> Result<u64, Problem> {
    let bad = || bad_archive("a PAX number is malformed");
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or_else(bad)
}

fn commit_id((key, value): Record<'_>) -> Option<String> {
    let hex = matches!(value.len(), 40 | 64) && value.iter().all(u8::is_ascii_hexdigit);
    (key == b"comment" && hex).then(|| String::from_utf8_lossy(value).into_owned())
}
