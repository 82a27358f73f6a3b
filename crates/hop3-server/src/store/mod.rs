// SPDX-License-Identifier: Apache-2.0
//! The store: SQLite in WAL mode, one file, opened by the server alone. SQL appears nowhere else.
//!
//! It holds the desired state; what really runs is asked of the drivers. One file per table family, plain functions
//! on `Store`. Reading order: `migrations/0001_init.sql`, `app`, `release`, `deployment`, `event`.

mod access;
mod addon;
mod app;
mod backup;
mod binding;
mod config;
mod deployment;
mod domain;
mod event;
mod mount;
mod plugin;
mod proxy;
mod release;
mod uid;
mod volume;

pub(crate) use access::Grant;
pub(crate) use addon::{Addon, NewServer};
pub(crate) use app::{App, SleepWish};
pub(crate) use backup::{Backup, Target, TargetBody};
pub(crate) use binding::Bound;
pub(crate) use deployment::DeploymentId;
pub(crate) use plugin::Plugin;
pub(crate) use release::{Outline, Release, ReleaseState, Serving};
pub(crate) use volume::{Attached, Volume};

use crate::seal::Sealer;
use anyhow::{Context, Result};
use hop3_core::layout::Layout;
use rusqlite::Connection;
use std::sync::{Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// Forward only; the index of an entry plus one is the `user_version` it leads to.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_init.sql"),
    include_str!("migrations/0002_proxy.sql"),
    include_str!("migrations/0003_sleep.sql"),
    include_str!("migrations/0004_addon.sql"),
    include_str!("migrations/0005_plugin.sql"),
    include_str!("migrations/0006_backup.sql"),
    include_str!("migrations/0007_volume.sql"),
    include_str!("migrations/0008_pool.sql"),
];

pub struct Store {
    connection: Mutex<Connection>,
    sealer: Sealer,
}

impl Store {
    /// Opens the store and brings it to the newest version; a copy is kept before a migration of existing data.
    pub fn open(layout: &Layout) -> Result<Store> {
        let path = layout.database();
        let connection = Connection::open(&path).with_context(|| format!("opening {}", path.display()))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -1024)?;
        let sealer = Sealer::open(&layout.key_file())?;
        let mut store = Store { connection: Mutex::new(connection), sealer };
        store.migrate(layout)?;
        Ok(store)
    }

    fn migrate(&mut self, layout: &Layout) -> Result<()> {
        let connection = self.connection.get_mut().expect("no other thread has the store yet");
        let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        anyhow::ensure!(
            version <= MIGRATIONS.len(),
            "the database was written by a newer hop3 (version {version})"
        );
        if version > 0 && version < MIGRATIONS.len() {
            let copy = layout.root().join(format!("hop3.db.v{version}"));
            connection.backup("main", copy, None)?;
        }
        for (done, sql) in MIGRATIONS.iter().enumerate().skip(version) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "user_version", done + 1)?;
            transaction.commit()?;
        }
        Ok(())
    }

    /// Brings the log of changes into the database file, so that the next start need not read it.
    pub fn checkpoint(&self) -> Result<()> {
        Ok(self.db().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic while holding the lock leaves SQLite itself consistent: the transaction is rolled back.
        self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Unix time in milliseconds.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

#[cfg(test)]
mod tests;
