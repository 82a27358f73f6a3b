// SPDX-License-Identifier: Apache-2.0
//! `BackupStore`: keeps what was saved, encrypted and deduplicated, in a place that may be far away.
//!
//! A snapshot is made whole or not at all, and its tags never change. What several snapshots mean together is not the
//! store's business.

use crate::problem::Problem;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Where snapshots are kept, and what is needed to get there and to open it.
#[derive(Clone)]
pub struct BackupPlace {
    /// As the store's program writes it: a path, `sftp:…`, `s3:…`. It may hold a password.
    pub location: Secret<String>,
    /// Variables for the way there: access keys.
    pub env: Secret<BTreeMap<String, String>>,
    /// What encrypts everything in it.
    pub key: Secret<String>,
    /// Who reads and writes there, when jobs have users; without one, the supervisor's own.
    pub user: Option<u32>,
    /// KiB a second, when the way there must not be filled.
    pub upload_kib: Option<u32>,
}

/// What a snapshot is made of.
pub enum Content<'a> {
    /// Files and directories by their paths beneath the root, which are their names in the snapshot too.
    Paths(&'a [PathBuf]),
    /// One file of that name.
    Stream { name: &'a str, from: &'a mut (dyn Read + Send) },
}

/// What to save, and as what.
pub struct Save<'a> {
    pub tags: &'a [String],
    pub content: Content<'a>,
    /// Patterns beneath the root of what is left out.
    pub exclude: &'a [PathBuf],
    /// A snapshot that much is in already: what looks unchanged since is not read again.
    pub parent: Option<&'a str>,
}

/// A snapshot that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub snapshot: String,
    pub files: u64,
    pub bytes: u64,
    /// Bytes that were not in the place yet.
    pub added_bytes: u64,
    /// What could not be read, in the store's words; mostly files that went away meanwhile.
    pub unread: Vec<String>,
}

/// A snapshot that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub id: String,
    pub tags: Vec<String>,
}

/// How far a save has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done_bytes: u64,
    pub total_bytes: u64,
}

pub trait BackupStore: Send + Sync {
    /// Makes the place ready; one that is stays as it is.
    ///
    /// # Errors
    /// `backup.wrong-key` when something else than the key opens it, `backup.unreachable`, `backup.no-room`.
    fn prepare(&self, place: &BackupPlace) -> Result<(), Problem>;

    /// Makes a snapshot. Cut off at any moment it leaves the place sound and without that snapshot.
    fn save(
        &self,
        place: &BackupPlace,
        save: Save<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Saved, Problem>;

    /// Snapshots that have all of these tags, oldest first.
    fn list(&self, place: &BackupPlace, tags: &[String]) -> Result<Vec<Snapshot>, Problem>;

    /// Writes these paths of a snapshot, all of it when there are none, with their names beneath `to`, a directory
    /// beneath the root that is given to the place's user. Every byte is compared with its checksum on the way, and
    /// read again afterwards when `twice`.
    fn restore(&self, place: &BackupPlace, from: Taken<'_>, to: &Path) -> Result<(), Problem>;

    /// Gives the content of one file of a snapshot.
    fn dump(
        &self,
        place: &BackupPlace,
        snapshot: &str,
        file: &Path,
        into: &mut dyn Write,
    ) -> Result<(), Problem>;

    /// Looks whether the place is sound; reads all of it when `thoroughly`.
    ///
    /// # Errors
    /// `backup.damaged`, with what is.
    fn check(&self, place: &BackupPlace, thoroughly: bool) -> Result<(), Problem>;

    /// Forgets snapshots, then gives back the room of what no snapshot names. Absent ones are fine.
    fn forget(&self, place: &BackupPlace, snapshots: &[String]) -> Result<(), Problem>;
}

/// What is wanted of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    pub snapshot: &'a str,
    pub paths: &'a [PathBuf],
    pub twice: bool,
}
