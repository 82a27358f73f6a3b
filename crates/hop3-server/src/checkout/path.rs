// SPDX-License-Identifier: Apache-2.0
//! Names of archive members and targets of links, checked as text before the file system sees them.
//!
//! Invariant: an `EntryPath` is relative, has no `.` or `..`, nothing git would take for its own folder, and no
//! component or length the file system would refuse. The empty path is the tree itself.

use hop3_core::{Kind, Problem};

const MAX_PATH: usize = 4096;
const MAX_COMPONENT: usize = 255;
const MAX_DEPTH: usize = 256;

/// A checked path beneath the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EntryPath(String);

impl EntryPath {
    pub(super) fn parse(raw: &[u8]) -> Result<EntryPath, Problem> {
        let refuse = |why: &str| Err(bad_path(&String::from_utf8_lossy(raw), why));
        if raw.len() > MAX_PATH {
            return refuse("its name is longer than 4096 bytes");
        }
        let Ok(text) = std::str::from_utf8(raw) else { return refuse("its name is not UTF-8") };
        if text.is_empty() {
            return refuse("its name is empty");
        }
        if text.contains('\0') {
            return refuse("its name has a NUL character");
        }
        if text.starts_with('/') {
            return refuse("its name begins at the root of the file system");
        }
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => continue,
                ".." => return refuse("its name leads out of the app with \"..\""),
                _ if part.len() > MAX_COMPONENT => {
                    return refuse("a part of its name is longer than 255 bytes");
                }
                _ if is_git_folder(part) => return refuse("it lies in a .git folder"),
                _ => parts.push(part),
            }
        }
        if parts.len() > MAX_DEPTH {
            return refuse("it lies more than 256 folders deep");
        }
        Ok(EntryPath(parts.join("/")))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// It is the tree itself.
    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Folder and name; `None` for the tree itself.
    pub(super) fn split(&self) -> Option<(EntryPath, &str)> {
        match self.0.rsplit_once('/') {
            Some((folder, name)) => Some((EntryPath(folder.to_owned()), name)),
            None if self.0.is_empty() => None,
            None => Some((EntryPath(String::new()), &self.0)),
        }
    }

    fn depth(&self) -> usize {
        self.0.split('/').filter(|p| !p.is_empty()).count()
    }
}

/// Accepts a link target that stays inside the tree wherever the other links lead.
///
/// `..` may only stand at the beginning: the folder of a link is a real folder, so climbing from it is counted
/// exactly; after a name, `..` would climb from wherever a link of that name leads.
pub(super) fn check_link<'a>(link: &EntryPath, target: &'a [u8]) -> Result<&'a str, Problem> {
    let refuse = |why: &str| {
        Err(Problem::new(
            Kind::User,
            "source.link-outside",
            format!(
                "the link {} leads to {}: {why}",
                quoted(link.as_str()),
                quoted(&String::from_utf8_lossy(target))
            ),
        )
        .hint("make it a relative link to a file of the app, or replace it by the file itself"))
    };
    let Ok(text) = std::str::from_utf8(target) else { return refuse("the target is not UTF-8") };
    if text.is_empty() || text.contains('\0') || text.len() >= MAX_PATH {
        return refuse("the target is empty, too long or has a NUL character");
    }
    if text.starts_with('/') {
        return refuse("absolute links do not lead to files of the app");
    }
    let mut climbs = 0;
    let mut names = 0;
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if names > 0 => return refuse("\"..\" stands after a name"),
            ".." => climbs += 1,
            _ => names += 1,
        }
    }
    if climbs >= link.depth() {
        return refuse("it is outside of the app");
    }
    Ok(text)
}

/// Names that git, or a file system it may be checked out on, takes for `.git` (CVE-2014-9390 and successors).
fn is_git_folder(name: &str) -> bool {
    let visible: String = name.chars().filter(|c| !is_ignorable(*c)).collect();
    let stream = visible.split(':').next().unwrap_or("");
    let bare = stream.trim_end_matches([' ', '.']);
    bare.eq_ignore_ascii_case(".git") || bare.eq_ignore_ascii_case("git~1")
}

/// Characters HFS+ drops from names.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

pub(super) fn bad_path(name: &str, why: &str) -> Problem {
    Problem::new(Kind::User, "source.bad-path", format!("the file {} is refused: {why}", quoted(name)))
        .hint("rename it or leave it out; nothing was deployed")
}

/// Shows a hostile name harmlessly: control and direction characters escaped, long text cut.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}
