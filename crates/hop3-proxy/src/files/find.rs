// SPDX-License-Identifier: Apache-2.0
//! Finds the file that answers a path: the file itself, a directory's index, a page without its extension, the
//! application's one page, or the 404 page.
//!
//! Invariant: every file is opened by `openat2` beneath the root, so no link, race or name leads out of it.

use super::path::FilePath;
use hop3_core::route::StaticFiles;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// An open regular file, with the name its media type comes from.
pub(crate) struct Found {
    pub(crate) file: File,
    pub(crate) stat: Stat,
    pub(crate) path: FilePath,
}

pub(crate) enum Answer {
    File(Found),
    /// The directory's address lacks its slash.
    AddSlash,
    /// The site's own page for what is not there.
    Missing(Option<Found>),
}

pub(crate) struct Root(OwnedFd);

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Pages are read whole; a larger one is none.
const MAX_PAGE: u64 = 1 << 20;

/// A file of that name beneath a root, with its media type.
pub(crate) fn page(root: &Path, name: &str) -> Option<(Vec<u8>, &'static str)> {
    use std::os::unix::fs::FileExt;
    let files = StaticFiles { root: root.to_owned(), ..StaticFiles::default() };
    let found =
        Root::open(&files).and_then(|root| root.file(&super::path::decode(name).map_err(|_| Errno::NOENT)?));
    let found = found.inspect_err(|error| tracing::warn!(%error, name, "a page cannot be read")).ok()??;
    let size = found.stat.st_size as u64;
    let mut bytes = vec![0; usize::try_from(size).ok().filter(|_| size <= MAX_PAGE)?];
    found.file.read_exact_at(&mut bytes, 0).ok()?;
    Some((bytes, super::media::media_type(found.path.name()).0))
}

enum Entry {
    File(File, Stat),
    Folder,
}

impl Root {
    pub(crate) fn open(files: &StaticFiles) -> Result<Root, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(&files.root, flags, Mode::empty()).map(Root)
    }

    pub(crate) fn answer(&self, path: &FilePath, spa: bool) -> Result<Answer, Errno> {
        match self.entry(path)? {
            Some(Entry::Folder) if !path.is_folder => {
                if self.file(&path.child("index.html"))?.is_some() {
                    return Ok(Answer::AddSlash);
                }
            }
            Some(Entry::Folder) => {
                if let Some(index) = self.file(&path.child("index.html"))? {
                    return Ok(Answer::File(index));
                }
            }
            Some(Entry::File(file, stat)) if !path.is_folder => {
                return Ok(Answer::File(Found { file, stat, path: path.clone() }));
            }
            Some(Entry::File(..)) | None => {}
        }
        if !path.has_extension() {
            let page = if path.is_folder { None } else { self.file(&path.with(".html"))? };
            let index = || if spa { self.file(&index()) } else { Ok(None) };
            if let Some(found) = page.map_or_else(index, |page| Ok(Some(page)))? {
                return Ok(Answer::File(found));
            }
        }
        let missing = super::path::decode("404.html").expect("a constant path without anything special");
        self.file(&missing).map(Answer::Missing)
    }

    /// A regular file, if that is what lies there.
    pub(crate) fn file(&self, path: &FilePath) -> Result<Option<Found>, Errno> {
        Ok(match self.entry(path)? {
            Some(Entry::File(file, stat)) => Some(Found { file, stat, path: path.clone() }),
            _ => None,
        })
    }

    fn entry(&self, path: &FilePath) -> Result<Option<Entry>, Errno> {
        // NONBLOCK: opening a named pipe must not wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let opened = loop {
            match openat2(&self.0, path.as_path(), flags, Mode::empty(), beneath) {
                // Something was renamed during the walk, so the kernel could not be sure; it asks to be asked again.
                Err(Errno::AGAIN) => {}
                other => break other,
            }
        };
        match opened {
            Ok(fd) => {
                let stat = fstat(&fd)?;
                Ok(match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile => Some(Entry::File(File::from(fd), stat)),
                    FileType::Directory => Some(Entry::Folder),
                    _ => None,
                })
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
            // A socket, or a device without a driver.
            Err(Errno::NXIO | Errno::NODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn index() -> FilePath {
    super::path::decode("index.html").expect("a constant path without anything special")
}
