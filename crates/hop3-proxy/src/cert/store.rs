// SPDX-License-Identifier: Apache-2.0
//! `CertStore`: certificates on disk, one directory for each host name. What is known of them in memory is their
//! names alone, so that ten thousand of them cost little.
//!
//! Invariant: a directory is always one whole version: written beside, synced, renamed. Key and directory are closed
//! to everybody else.

use arc_swap::ArcSwap;
use hop3_core::layout::Layout;
use hop3_core::secret::Secret;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, PoisonError};

const CHAIN: &str = "chain.pem";
const KEY: &str = "key.pem";
const ORIGIN: &str = "origin.json";

/// Who made a certificate, and so who renews it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A certificate authority, asked by the proxy.
    Acme { directory: String },
    /// Somebody brought it; nobody but he replaces it.
    Own,
    /// The authority of this installation.
    Internal,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Bundle {
    /// The host's own certificate first, then each one's issuer.
    pub chain_pem: String,
    pub key_pem: Secret<String>,
    pub origin: Origin,
}

/// Names and the count of changes at which each was put. A reader who sees another count knows that it changed.
type Names = HashMap<Box<str>, u64>;

/// Shared by all threads.
pub struct CertStore {
    layout: Layout,
    names: ArcSwap<Names>,
    /// Changes so far; held while one is made.
    changes: Mutex<u64>,
    /// How often `names` has changed.
    version: AtomicU64,
}

impl CertStore {
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(layout: &Layout) -> io::Result<CertStore> {
        let directory = layout.certificates();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let mut names = Names::new();
        for entry in fs::read_dir(&directory)? {
            let file = entry?.file_name();
            let Some(name) = file.to_str().and_then(name_of) else { continue };
            // Beside certificates lie what a proxy that was killed had begun, and the authority.
            if is_name(&name) {
                names.insert(name.into_boxed_str(), 0);
            }
        }
        Ok(CertStore {
            layout: layout.clone(),
            names: ArcSwap::from_pointee(names),
            changes: Mutex::new(0),
            version: AtomicU64::new(0),
        })
    }

    /// Keeps a certificate for a host name, or for `*.` and a name; from the next handshake on it is the one shown.
    ///
    /// # Errors
    /// What is no host name; a disk that does not take it. The old one is still there then.
    pub fn put(&self, name: &str, bundle: &Bundle) -> io::Result<()> {
        if !is_name(name) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no host name")));
        }
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let place = self.layout.certificate(name);
        let beside = beside(&place);
        discard(&beside)?;
        write(&beside, bundle)?;
        match renameat_with(CWD, &beside, CWD, &place, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(rustix::io::Errno::NOENT) => fs::rename(&beside, &place)?,
            Err(error) => return Err(error.into()),
        }
        File::open(self.layout.certificates())?.sync_all()?;
        *changes += 1;
        self.change(|names| {
            names.insert(name.into(), *changes);
        });
        // It works already; the next change tries again.
        discard(&beside).ok();
        Ok(())
    }

    /// # Errors
    /// Files that are there and cannot be read.
    pub fn get(&self, name: &str) -> io::Result<Option<Bundle>> {
        if !self.names.load().contains_key(name) {
            return Ok(None);
        }
        let place = self.layout.certificate(name);
        let read = |file: &str| fs::read_to_string(place.join(file));
        let origin = serde_json::from_str(&read(ORIGIN)?)?;
        Ok(Some(Bundle { chain_pem: read(CHAIN)?, key_pem: Secret::new(read(KEY)?), origin }))
    }

    /// Every name, in order.
    pub fn list(&self) -> Vec<String> {
        let mut names: Vec<String> = self.names.load().keys().map(|name| name.to_string()).collect();
        names.sort();
        names
    }

    /// Tells whether there was anything to remove.
    ///
    /// # Errors
    /// The directory cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        let _changing = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.names.load().contains_key(name) {
            return Ok(false);
        }
        self.change(|names| {
            names.remove(name);
        });
        let place = self.layout.certificate(name);
        let beside = beside(&place);
        discard(&beside)?;
        fs::rename(&place, &beside)?;
        discard(&beside)?;
        Ok(true)
    }

    /// What is kept for a host: for its own name, else for `*.` in place of its first label. The number changes
    /// whenever another certificate takes the name.
    pub(crate) fn find(&self, host: &str) -> Option<(String, u64)> {
        let names = self.names.load();
        if let Some(version) = names.get(host) {
            return Some((host.to_owned(), *version));
        }
        let wildcard = format!("*{}", &host[host.find('.')?..]);
        names.get(wildcard.as_str()).map(|version| (wildcard.clone(), *version))
    }

    fn change(&self, edit: impl FnOnce(&mut Names)) {
        let mut names = Names::clone(&self.names.load());
        edit(&mut names);
        self.names.store(Arc::new(names));
        self.version.fetch_add(1, Release);
    }

    /// Another one when a certificate has come, changed or gone; what is found after it is as new as it or newer.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Acquire)
    }
}

/// What lies beside the certificates: the authority of our own, and what is known of others.
const NOT_NAMES: [&str; 3] = ["internal", "acme", "acme.json"];

/// Lower-case labels, the first perhaps `*`.
pub(super) fn is_name(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
    };
    name.len() <= 253 && !NOT_NAMES.contains(&name) && rest.split('.').all(is_label)
}

/// The host name that a directory's name stands for.
fn name_of(file: &str) -> Option<String> {
    match file.strip_prefix("_.") {
        Some(rest) => Some(format!("*.{rest}")),
        None => (!file.starts_with('.')).then(|| file.to_owned()),
    }
}

/// The place of a version that is not the current one. No host name begins with a dot.
fn beside(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!(".{name}"))
}

fn discard(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write(directory: &Path, bundle: &Bundle) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(directory)?;
    write_closed(&directory.join(KEY), bundle.key_pem.expose().as_bytes())?;
    write_closed(&directory.join(CHAIN), bundle.chain_pem.as_bytes())?;
    write_closed(&directory.join(ORIGIN), &serde_json::to_vec(&bundle.origin)?)?;
    File::open(directory)?.sync_all()
}

/// Writes a file that only its owner may read, down to the disk.
pub(super) fn write_closed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
