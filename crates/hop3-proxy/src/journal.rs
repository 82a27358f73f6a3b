// SPDX-License-Identifier: Apache-2.0
//! The route table on disk: one whole table, and beside it the changes since, so that a change costs one line however
//! large the table is.
//!
//! ```text
//! table.json      {"generation": 7, "services": [...]}          written beside, synced, renamed
//! table.changes   {"generation": 7}  {"put": ...}  {"remove": "shop"}  ...     one a line, appended
//! ```
//! Invariant: changes belong to the table of their generation, and to no other. A change that was answered is in the
//! kernel's hands, so that a proxy that is killed forgets nothing; after a loss of power the last ones may be missing,
//! and the server, which then starts anew too, tells its table anyway.

use hop3_core::layout::Layout;
use hop3_core::route::{RouteTable, Service};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Changes are made part of the table when they take more than this, and more than twice the table.
const CHANGES_BYTES: u64 = 1 << 20;

pub(crate) struct Journal {
    table: PathBuf,
    changes: PathBuf,
    generation: u64,
    table_bytes: u64,
    /// Open, and how long it is, once there was a change.
    open: Option<(File, u64)>,
}

/// The saved table. Borrows what it saves, owns what it loads.
#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    #[serde(default)]
    generation: u64,
    services: Vec<Cow<'a, Service>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line<'a> {
    Generation(u64),
    Put(Cow<'a, Service>),
    Remove(Cow<'a, str>),
}

impl Journal {
    /// The last table with all changes; empty when there is none. What is damaged is told and left aside: serving
    /// nothing is better than not starting, since the server sends its own table as soon as it can.
    pub(crate) fn load(layout: &Layout) -> (Journal, RouteTable) {
        let table = layout.proxy_table();
        let mut journal = Journal {
            changes: table.with_extension("changes"),
            table,
            generation: 0,
            table_bytes: 0,
            open: None,
        };
        let services = journal.read().unwrap_or_else(|error| {
            tracing::error!(path = %journal.table.display(), %error, "the saved route table cannot be read");
            // Changes from now on have no table beneath them, as if there had never been one.
            fs::rename(&journal.table, journal.table.with_extension("damaged")).ok();
            Vec::new()
        });
        (journal, RouteTable { services })
    }

    fn read(&mut self) -> io::Result<Vec<Service>> {
        let (generation, services) = match fs::read(&self.table) {
            Ok(bytes) => {
                let saved: Saved = serde_json::from_slice(&bytes)?;
                self.table_bytes = bytes.len() as u64;
                (saved.generation, saved.services)
            }
            // The first changes may come before the first table.
            Err(error) if error.kind() == io::ErrorKind::NotFound => (0, Vec::new()),
            Err(error) => return Err(error),
        };
        self.generation = generation;
        let mut by_name: BTreeMap<String, Service> =
            services.into_iter().map(|service| (service.name.clone(), service.into_owned())).collect();
        for change in self.read_changes() {
            match change {
                Line::Put(service) => drop(by_name.insert(service.name.clone(), service.into_owned())),
                Line::Remove(name) => drop(by_name.remove(&*name)),
                Line::Generation(_) => {}
            }
        }
        Ok(by_name.into_values().collect())
    }

    /// Those of this generation. A line without its end was never answered.
    fn read_changes(&self) -> Vec<Line<'static>> {
        let Ok(text) = fs::read_to_string(&self.changes) else { return Vec::new() };
        let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let first = lines.next().and_then(|line| serde_json::from_str(line).ok());
        if !matches!(first, Some(Line::Generation(generation)) if generation == self.generation) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for line in lines {
            match serde_json::from_str(line) {
                Ok(change) => changes.push(change),
                Err(error) => {
                    tracing::error!(path = %self.changes.display(), %error, "saved changes cannot be read");
                    break;
                }
            }
        }
        changes
    }

    /// Saves one change.
    pub(crate) fn append(&mut self, change: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(change)?;
        bytes.push(b'\n');
        if self.open.is_none() {
            self.open = Some(begin(&self.changes, self.generation, self.read_length())?);
        }
        let Some((file, length)) = &mut self.open else { return Ok(()) };
        if let Err(error) = file.write_all(&bytes) {
            // Half a line would hide those that follow.
            if file.set_len(*length).is_err() {
                self.open = None;
            }
            return Err(error);
        }
        *length += bytes.len() as u64;
        Ok(())
    }

    /// How long the changes are that belong to this generation.
    fn read_length(&self) -> u64 {
        let Ok(text) = fs::read_to_string(&self.changes) else { return 0 };
        let first = text.split_inclusive('\n').next().and_then(|line| serde_json::from_str(line).ok());
        match first {
            Some(Line::Generation(generation)) if generation == self.generation => {
                text.rfind('\n').map_or(0, |end| end as u64 + 1)
            }
            _ => 0,
        }
    }

    /// Many changes make the next start slow.
    pub(crate) fn is_long(&self) -> bool {
        let limit = CHANGES_BYTES.max(2 * self.table_bytes);
        self.open.as_ref().is_some_and(|(_, length)| *length > limit)
    }

    /// Saves a whole table. The changes of before are no longer its own.
    pub(crate) fn replace<'a>(&mut self, services: impl Iterator<Item = &'a Service>) -> io::Result<()> {
        let generation = self.generation + 1;
        let beside = self.table.with_extension("new");
        let mut bytes =
            serde_json::to_vec(&Saved { generation, services: services.map(Cow::Borrowed).collect() })?;
        bytes.push(b'\n');
        // It holds what visitors' passwords are checked by.
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &self.table)?;
        (self.generation, self.table_bytes, self.open) = (generation, bytes.len() as u64, None);
        Ok(())
    }
}

/// Opens the changes to be appended to. `length` is what is good of them; 0 begins them anew.
fn begin(path: &PathBuf, generation: u64, length: u64) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.set_len(length)?;
    if length > 0 {
        return Ok((file, length));
    }
    let mut first = serde_json::to_vec(&Line::Generation(generation))?;
    first.push(b'\n');
    file.write_all(&first)?;
    Ok((file, first.len() as u64))
}

#[cfg(test)]
mod tests;
