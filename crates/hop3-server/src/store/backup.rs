// SPDX-License-Identifier: Apache-2.0
//! Tables `backup_engine`, `backup_target`, `backup`: whom backups run as, where they go, which there are.

use super::app::foreign;
use super::{Store, now_ms};
use anyhow::{Context, Result};
use hop3_core::Problem;
use hop3_core::backup::{BackupId, BackupInfo, BackupOf, BackupSchedule};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Stands for the whole server among the names of apps, of which none can be it.
const WHOLE: &str = "*";

/// Whom backups run as, and what opens them.
pub(crate) struct Engine {
    pub uid: u32,
    pub key: String,
}

/// A place that backups go to.
pub(crate) struct Target {
    pub name: String,
    pub body: TargetBody,
    pub upload_kib: Option<u32>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TargetBody {
    pub location: String,
    pub env: BTreeMap<String, String>,
}

/// A backup, and its snapshots.
#[derive(Clone)]
pub(crate) struct Backup {
    pub info: BackupInfo,
    pub manifest: String,
    pub files_snapshot: String,
}

const COLUMNS: &str = "target, id, app, made_ms, files, bytes, added_bytes, scheduled, proven_ms, problem, manifest, \
     files_snapshot, digest";

impl Store {
    pub(crate) fn backup_engine(&self) -> Result<Option<Engine>> {
        let row: Option<(u32, Vec<u8>)> = self
            .db()
            .query_row("SELECT uid, key FROM backup_engine", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        row.map(|(uid, key)| Ok(Engine { uid, key: String::from_utf8(self.sealer.open_sealed(&key)?)? }))
            .transpose()
    }

    /// Keeps the recovery key; one that is there already stays.
    pub fn create_backup_engine(&self, uid: u32, key: &str) -> Result<()> {
        let sealed = self.sealer.seal(key.as_bytes())?;
        let sql = "INSERT INTO backup_engine (id, uid, key) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING";
        self.db().execute(sql, params![uid, sealed])?;
        Ok(())
    }

    /// Adds a target; false when the name is taken.
    pub(crate) fn add_backup_target(&self, target: &Target) -> Result<bool> {
        let sealed = self.sealer.seal(&serde_json::to_vec(&target.body)?)?;
        let made = self.db().execute(
            "INSERT INTO backup_target (name, body, upload_kib, created_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![target.name, sealed, target.upload_kib, now_ms()],
        )?;
        Ok(made == 1)
    }

    pub(crate) fn backup_targets(&self) -> Result<Vec<Target>> {
        let db = self.db();
        let mut statement = db.prepare("SELECT name, body, upload_kib FROM backup_target ORDER BY name")?;
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?)))?;
        let mut targets = Vec::new();
        for row in rows {
            let (name, sealed, upload_kib) = row?;
            let body = self.sealer.open_sealed(&sealed).context("a backup target")?;
            targets.push(Target { name, body: serde_json::from_slice(&body)?, upload_kib });
        }
        Ok(targets)
    }

    /// Says that a target lies elsewhere now.
    pub(crate) fn move_backup_target(&self, target: &Target, location: &str) -> Result<()> {
        let body = TargetBody { location: location.to_owned(), env: target.body.env.clone() };
        let sealed = self.sealer.seal(&serde_json::to_vec(&body)?)?;
        let sql = "UPDATE backup_target SET body = ?2 WHERE name = ?1";
        self.db().execute(sql, params![target.name, sealed])?;
        Ok(())
    }

    /// Forgets a target with the list of what it has; what is kept there stays.
    pub fn remove_backup_target(&self, name: &str) -> Result<bool> {
        Ok(self.db().execute("DELETE FROM backup_target WHERE name = ?1", [name])? == 1)
    }

    pub(crate) fn add_backup(&self, backup: &Backup) -> Result<()> {
        let info = &backup.info;
        self.db().execute(
            &format!(
                "INSERT OR REPLACE INTO backup ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)"
            ),
            params![
                info.target,
                info.id.as_str(),
                info.of().word(),
                info.made_ms,
                info.files,
                info.bytes,
                info.added_bytes,
                info.scheduled,
                info.proven_ms,
                info.problem.as_ref().map(serde_json::to_string).transpose()?,
                backup.manifest,
                backup.files_snapshot,
                info.digest,
            ],
        )?;
        Ok(())
    }

    /// All of them, newest first.
    pub(crate) fn backups(&self) -> Result<Vec<Backup>> {
        let db = self.db();
        let mut statement =
            db.prepare_cached(&format!("SELECT {COLUMNS} FROM backup ORDER BY made_ms DESC, id"))?;
        let rows = statement.query_map([], from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Says when a backup was proven and what its digest is, or what was found instead.
    pub fn set_proven(&self, backup: &BackupInfo, found: Result<&str, &Problem>) -> Result<()> {
        let problem = found.err().map(serde_json::to_string).transpose()?;
        self.db().execute(
            "UPDATE backup SET proven_ms = COALESCE(?3, proven_ms), digest = COALESCE(?4, digest), problem = ?5
             WHERE target = ?1 AND id = ?2",
            params![backup.target, backup.id.as_str(), found.ok().map(|_| now_ms()), found.ok(), problem],
        )?;
        Ok(())
    }

    pub fn remove_backup(&self, target: &str, id: &BackupId) -> Result<()> {
        let sql = "DELETE FROM backup WHERE target = ?1 AND id = ?2";
        self.db().execute(sql, params![target, id.as_str()])?;
        Ok(())
    }

    pub fn backup_schedules(&self) -> Result<Vec<BackupSchedule>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT body FROM backup_schedule ORDER BY what")?;
        let rows = statement.query_map([], |row| {
            let text: String = row.get(0)?;
            serde_json::from_str(&text).map_err(|e| foreign(0, e))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn set_backup_schedule(&self, schedule: &BackupSchedule) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO backup_schedule (what, body) VALUES (?1, ?2)";
        self.db().execute(sql, params![what(&schedule.of()), serde_json::to_string(schedule)?])?;
        Ok(())
    }

    pub fn rename_backup_schedule(&self, from: &BackupOf, to: &BackupOf) -> Result<()> {
        let all = self.backup_schedules()?;
        if let Some(schedule) = all.into_iter().find(|schedule| schedule.of() == *from) {
            self.set_backup_schedule(&BackupSchedule { app: to.app(), addon: to.addon(), ..schedule })?;
            self.remove_backup_schedule(from)?;
        }
        Ok(())
    }

    /// Tells whether there was one.
    pub fn remove_backup_schedule(&self, of: &BackupOf) -> Result<bool> {
        Ok(self.db().execute("DELETE FROM backup_schedule WHERE what = ?1", [what(of)])? == 1)
    }

    /// Tells whether a copy of the store is whole.
    pub fn check_copy(path: &Path) -> Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let verdict: String =
            Connection::open_with_flags(path, flags)?
                .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        anyhow::ensure!(verdict == "ok", "{verdict}");
        Ok(())
    }

    /// Writes a copy of the whole store, as it is at one moment.
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        Ok(self.db().backup("main", path, None)?)
    }
}

fn what(of: &BackupOf) -> String {
    of.word().unwrap_or_else(|| WHOLE.to_owned())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Backup> {
    let of: Option<String> = row.get(2)?;
    let of = BackupOf::of_word(of.as_deref()).map_err(|p| foreign(2, p))?;
    let problem: Option<String> = row.get(9)?;
    let id: String = row.get(1)?;
    Ok(Backup {
        info: BackupInfo {
            target: row.get(0)?,
            id: id.parse().map_err(|p: Problem| foreign(1, p))?,
            app: of.app(),
            addon: of.addon(),
            made_ms: row.get(3)?,
            files: row.get(4)?,
            bytes: row.get(5)?,
            added_bytes: row.get(6)?,
            scheduled: row.get(7)?,
            proven_ms: row.get(8)?,
            digest: row.get(12)?,
            problem: problem
                .map(|text| serde_json::from_str(&text))
                .transpose()
                .map_err(|e| foreign(9, e))?,
        },
        manifest: row.get(10)?,
        files_snapshot: row.get(11)?,
    })
}
