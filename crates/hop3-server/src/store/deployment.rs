// SPDX-License-Identifier: Apache-2.0
//! Table `deployment`: every attempt, with how it ended.

use super::app::App;
use super::{Store, now_ms};
use anyhow::Result;
use hop3_core::api::{DeploymentInfo, DeploymentState};
use hop3_core::release::ReleaseNumber;
use rusqlite::params;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeploymentId(pub i64);

impl Store {
    pub fn create_deployment(&self, app: &App, source: &str) -> Result<DeploymentId> {
        let db = self.db();
        db.execute(
            "INSERT INTO deployment (app, state, source, started_ms) VALUES (?1, 'running', ?2, ?3)",
            params![app.id, source, now_ms()],
        )?;
        Ok(DeploymentId(db.last_insert_rowid()))
    }

    pub fn finish_deployment(&self, id: DeploymentId, release: Option<ReleaseNumber>) -> Result<()> {
        let state = if release.is_some() { "succeeded" } else { "failed" };
        self.db().execute(
            "UPDATE deployment SET state = ?2, release = ?3, finished_ms = ?4 WHERE id = ?1",
            params![id.0, state, release.map(|r| r.0), now_ms()],
        )?;
        Ok(())
    }

    /// At start: nothing can be running. Gives the deployments that were, with their apps' ids.
    pub fn interrupt_deployments(&self) -> Result<Vec<(DeploymentId, i64)>> {
        let db = self.db();
        let mut statement = db.prepare(
            "UPDATE deployment SET state = 'interrupted', finished_ms = ?1 WHERE state IN ('queued', 'running')
             RETURNING id, app",
        )?;
        let rows = statement.query_map([now_ms()], |row| Ok((DeploymentId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Newest first, at most 50.
    pub fn deployments(&self, app: &App) -> Result<Vec<DeploymentInfo>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT id, state, source, release, started_ms, finished_ms FROM deployment
             WHERE app = ?1 ORDER BY id DESC LIMIT 50",
        )?;
        let rows = statement.query_map([app.id], |row| {
            let state: String = row.get(1)?;
            Ok(DeploymentInfo {
                id: row.get(0)?,
                state: match state.as_str() {
                    "queued" => DeploymentState::Queued,
                    "running" => DeploymentState::Running,
                    "succeeded" => DeploymentState::Succeeded,
                    "interrupted" => DeploymentState::Interrupted,
                    _ => DeploymentState::Failed,
                },
                source: row.get(2)?,
                release: row.get::<_, Option<u32>>(3)?.map(ReleaseNumber),
                started_ms: row.get(4)?,
                finished_ms: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
