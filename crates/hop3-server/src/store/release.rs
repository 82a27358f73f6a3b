// SPDX-License-Identifier: Apache-2.0
//! Table `release`: immutable rows, but for the state that says whether a release ever served.

use super::app::{App, foreign};
use super::{Store, now_ms};
use anyhow::Result;
use hop3_core::name::{EnvKey, ProcessName};
use hop3_core::plan::StaticSite;
use hop3_core::policy::Policy;
use hop3_core::release::{Artifact, ReleaseNumber};
use hop3_core::secret::Secret;
use hop3_core::sleep::SleepTimes;
use hop3_core::tcp::TcpSettings;
use rusqlite::{OptionalExtension, Row, params};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseState {
    /// Made, not serving yet.
    Pending,
    /// Serves, or has served.
    Active,
    Failed,
}

impl ReleaseState {
    fn as_str(self) -> &'static str {
        match self {
            ReleaseState::Pending => "pending",
            ReleaseState::Active => "active",
            ReleaseState::Failed => "failed",
        }
    }
}

#[derive(Clone)]
pub struct Release {
    pub number: ReleaseNumber,
    pub artifact: Artifact,
    pub config: Secret<BTreeMap<EnvKey, String>>,
    pub reason: String,
    pub state: ReleaseState,
    pub created_ms: u64,
}

/// Every app with the number and artifact, or what is wanted of it, of the release that serves.
pub(crate) type Serving<T = Artifact> = Vec<(App, Option<(ReleaseNumber, T)>)>;

/// Of an artifact, what routes are made of.
#[derive(Deserialize)]
pub struct Outline {
    pub id: String,
    processes: OutlineTable,
}

#[derive(Deserialize)]
struct OutlineTable {
    processes: BTreeMap<ProcessName, IgnoredAny>,
    #[serde(default)]
    statics: Vec<StaticSite>,
    #[serde(default)]
    health: OutlineHealth,
    sleep: Option<SleepTimes>,
    #[serde(default)]
    proxy: Policy,
    #[serde(default)]
    tcp: Vec<TcpSettings>,
}

#[derive(Default, Deserialize)]
struct OutlineHealth {
    path: Option<String>,
}

impl Outline {
    pub(crate) fn processes(&self) -> impl Iterator<Item = &ProcessName> {
        self.processes.processes.keys()
    }

    pub(crate) fn statics(&self) -> &[StaticSite] {
        &self.processes.statics
    }

    pub(crate) fn sleep(&self) -> Option<SleepTimes> {
        self.processes.sleep
    }

    pub(crate) fn proxy(&self) -> &Policy {
        &self.processes.proxy
    }

    pub(crate) fn tcp(&self) -> &[TcpSettings] {
        &self.processes.tcp
    }

    pub(crate) fn health_path(&self) -> Option<&str> {
        self.processes.health.path.as_deref()
    }
}

const COLUMNS: &str = "number, artifact, config, reason, state, created_ms";

impl Store {
    /// Makes the next release of an app, pending.
    pub fn create_release(
        &self,
        app: &App,
        artifact: &Artifact,
        config: &BTreeMap<EnvKey, String>,
        reason: &str,
    ) -> Result<Release> {
        let sealed = self.sealer.seal(&serde_json::to_vec(config)?)?;
        let processes: Vec<&ProcessName> = artifact.processes.processes.keys().collect();
        let created_ms = now_ms();
        let number: u32 = self.db().query_row(
            "INSERT INTO release (app, number, processes, artifact, config, reason, state, created_ms)
             SELECT ?1, COALESCE(MAX(number), 0) + 1, ?2, ?3, ?4, ?5, 'pending', ?6 FROM release WHERE app = ?1
             RETURNING number",
            params![
                app.id,
                serde_json::to_string(&processes)?,
                serde_json::to_string(artifact)?,
                sealed,
                reason,
                created_ms
            ],
            |row| row.get(0),
        )?;
        Ok(Release {
            number: ReleaseNumber(number),
            artifact: artifact.clone(),
            config: Secret::new(config.clone()),
            reason: reason.to_owned(),
            state: ReleaseState::Pending,
            created_ms,
        })
    }

    /// Makes a release the one that serves, in one transaction with its state.
    pub fn activate_release(&self, app: &App, number: ReleaseNumber) -> Result<()> {
        let mut db = self.db();
        let tx = db.transaction()?;
        tx.execute(
            "UPDATE release SET state = 'active' WHERE app = ?1 AND number = ?2",
            params![app.id, number.0],
        )?;
        tx.execute("UPDATE app SET current = ?2 WHERE id = ?1", params![app.id, number.0])?;
        Ok(tx.commit()?)
    }

    pub fn fail_release(&self, app: &App, number: ReleaseNumber) -> Result<()> {
        let sql = "UPDATE release SET state = 'failed' WHERE app = ?1 AND number = ?2 AND state = 'pending'";
        self.db().execute(sql, params![app.id, number.0])?;
        Ok(())
    }

    /// At start: what was pending will never serve.
    pub fn fail_pending_releases(&self) -> Result<()> {
        self.db().execute("UPDATE release SET state = 'failed' WHERE state = 'pending'", [])?;
        Ok(())
    }

    pub fn release(&self, app: &App, number: ReleaseNumber) -> Result<Option<Release>> {
        let sql = format!("SELECT {COLUMNS} FROM release WHERE app = ?1 AND number = ?2");
        let row = self
            .db()
            .prepare_cached(&sql)?
            .query_row(params![app.id, number.0], |row| self.release_from_row(row))
            .optional()?;
        Ok(row)
    }

    /// Newest first.
    pub fn releases(&self, app: &App) -> Result<Vec<Release>> {
        let sql = format!("SELECT {COLUMNS} FROM release WHERE app = ?1 ORDER BY number DESC");
        let db = self.db();
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_map([app.id], |row| self.release_from_row(row))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Artifacts that served before the one named, newest first, each once.
    pub fn former_artifacts(&self, app: &App, artifact: &str, count: u32) -> Result<Vec<String>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT json_extract(artifact, '$.id') AS id FROM release WHERE app = ?1 AND state = 'active'
             AND id <> ?2 GROUP BY id ORDER BY MAX(number) DESC LIMIT ?3",
        )?;
        let rows = statement.query_map(params![app.id, artifact, count], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The artifacts that kept releases name: the app's own, and those of clones that share its directories.
    pub fn artifacts(&self, app: &App) -> Result<Vec<Artifact>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT artifact FROM release WHERE state <> 'failed' AND (app = ?1 OR instr(artifact, ?2) > 0)",
        )?;
        let shared = format!("\"{}-", app.id);
        let rows = statement.query_map(params![app.id, shared], |row| decoded(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Every app with the number and artifact of the release that serves.
    pub fn serving(&self) -> Result<Serving> {
        self.serving_with("artifact")
    }

    /// The same with less of each artifact: decoding a thousand of them takes longer than telling them.
    pub fn outlines(&self) -> Result<Serving<Outline>> {
        self.serving_with("artifact")
    }

    /// The same with the names of the processes alone.
    pub fn process_names(&self) -> Result<Serving<Vec<ProcessName>>> {
        self.serving_with("processes")
    }

    fn serving_with<T: DeserializeOwned>(&self, column: &'static str) -> Result<Serving<T>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!(
            "SELECT {}, release.number, release.{column} FROM app
             LEFT JOIN release ON release.app = app.id AND release.number = app.current ORDER BY name",
            super::app::COLUMNS
        ))?;
        let rows = statement.query_map([], |row| {
            let app = super::app::from_row(row)?;
            let current = match row.get(super::app::COLUMN_COUNT)? {
                Some(number) => Some((ReleaseNumber(number), decoded(row, super::app::COLUMN_COUNT + 1)?)),
                None => None,
            };
            Ok((app, current))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Says that what releases name beneath one root lies beneath another now.
    pub fn relocate_releases(&self, from: &str, to: &str) -> Result<()> {
        self.db().execute(
            "UPDATE release SET artifact = replace(artifact, ?1 || '/', ?2 || '/')",
            params![from, to],
        )?;
        Ok(())
    }

    /// Forgets releases older than the newest `keep`, never the current one.
    pub fn forget_old_releases(&self, app: &App, keep: u32) -> Result<()> {
        self.db().execute(
            "DELETE FROM release WHERE app = ?1 AND number <> (SELECT COALESCE(current, 0) FROM app WHERE id = ?1)
             AND number NOT IN (SELECT number FROM release WHERE app = ?1 ORDER BY number DESC LIMIT ?2)",
            params![app.id, keep],
        )?;
        Ok(())
    }

    fn release_from_row(&self, row: &Row<'_>) -> rusqlite::Result<Release> {
        let sealed: Vec<u8> = row.get(2)?;
        let config = self.sealer.open_sealed(&sealed).map_err(|e| foreign(2, std::io::Error::other(e)))?;
        let state: String = row.get(4)?;
        Ok(Release {
            number: ReleaseNumber(row.get(0)?),
            artifact: decoded(row, 1)?,
            config: Secret::new(serde_json::from_slice(&config).map_err(|e| foreign(2, e))?),
            reason: row.get(3)?,
            state: [ReleaseState::Pending, ReleaseState::Active, ReleaseState::Failed]
                .into_iter()
                .find(|s| s.as_str() == state)
                .unwrap_or(ReleaseState::Failed),
            created_ms: row.get(5)?,
        })
    }
}

/// Reads JSON in place: no copy of its text is made.
fn decoded<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str().map_err(|e| foreign(column, e))?;
    serde_json::from_str(text).map_err(|e| foreign(column, e))
}
