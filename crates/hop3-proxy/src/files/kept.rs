// SPDX-License-Identifier: Apache-2.0
//! Files that were served a moment ago, so that a busy one costs one look at its directory entry and no more.
//!
//! Invariant: what is kept is served only while the same inode with the same times and size lies at its path, and for a
//! second at most; then everything about it is found out anew, its compressed siblings too.

use super::condition::Version;
use super::find::{Found, Root};
use super::path::FilePath;
use rustix::fs::{AtFlags, Stat, statat};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Bodies up to this size are kept in memory and leave together with their head.
pub(super) const SMALL: u64 = 64 << 10;
const TRUSTED: Duration = Duration::from_secs(1);
/// Of one thread. When either is reached, all of it is forgotten.
const FILES: usize = 512;
const BYTES: usize = 4 << 20;

/// A file with everything about its response that does not depend on the request.
pub(super) struct Choice {
    pub(super) found: Found,
    pub(super) version: Version,
    pub(super) last_modified: Option<String>,
    pub(super) encoding: Option<&'static str>,
    pub(super) media: &'static str,
    pub(super) varies: bool,
    /// All of a small file.
    pub(super) body: Option<Vec<u8>>,
}

struct Kept {
    choice: Rc<Choice>,
    root: Root,
    since: Instant,
}

/// Where it lies, under which name it was asked for, and which encodings the client takes.
type Key = (PathBuf, FilePath, u8);

#[derive(Default)]
struct Shelf {
    kept: HashMap<Key, Kept>,
    bytes: usize,
}

thread_local! {
    static SHELF: RefCell<Shelf> = RefCell::default();
}

/// The file, if it is still what it was. The root is taken as it was opened: a release's never changes its place.
pub(super) fn get(root: &Path, path: &FilePath, encodings: u8) -> Option<Rc<Choice>> {
    SHELF.with_borrow_mut(|shelf| {
        let key = (root.to_owned(), path.clone(), encodings);
        let kept = shelf.kept.get(&key)?;
        let stat = statat(&kept.root, kept.choice.found.path.as_path(), AtFlags::SYMLINK_NOFOLLOW);
        let is_same = stat.is_ok_and(|stat| is_same(&stat, &kept.choice.found.stat));
        if is_same && kept.since.elapsed() < TRUSTED {
            return Some(kept.choice.clone());
        }
        if let Some(old) = shelf.kept.remove(&key) {
            shelf.bytes -= size(&old.choice);
        }
        None
    })
}

pub(super) fn put(place: (&Path, &FilePath, u8), root: Root, choice: &Rc<Choice>) {
    SHELF.with_borrow_mut(|shelf| {
        if shelf.kept.len() >= FILES || shelf.bytes + size(choice) > BYTES {
            *shelf = Shelf::default();
        }
        let (at, path, encodings) = place;
        shelf.bytes += size(choice);
        let kept = Kept { choice: choice.clone(), root, since: Instant::now() };
        if let Some(old) = shelf.kept.insert((at.to_owned(), path.clone(), encodings), kept) {
            shelf.bytes -= size(&old.choice);
        }
    });
}

fn size(choice: &Choice) -> usize {
    choice.body.as_ref().map_or(0, Vec::len)
}

/// A file behind a symbolic link is never the same: what is looked at then is the link.
fn is_same(now: &Stat, then: &Stat) -> bool {
    let of = |stat: &Stat| {
        (
            stat.st_dev,
            stat.st_ino,
            stat.st_size,
            stat.st_mtime,
            stat.st_mtime_nsec,
            stat.st_ctime,
            stat.st_ctime_nsec,
        )
    };
    of(now) == of(then)
}
