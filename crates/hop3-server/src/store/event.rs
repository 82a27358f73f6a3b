// SPDX-License-Identifier: Apache-2.0
//! Table `event`: what happened, in order. What a pusher saw can be read again tomorrow.

use super::app::{App, foreign};
use super::{DeploymentId, Store, now_ms};
use anyhow::Result;
use hop3_core::event::{Event, EventRow};
use rusqlite::{Row, params};

/// Rows kept per app; older ones go when a deployment ends.
const KEEP: u32 = 20_000;

impl Store {
    pub fn record(
        &self,
        app: Option<&App>,
        deployment: Option<DeploymentId>,
        event: Event,
    ) -> Result<EventRow> {
        let time_ms = now_ms();
        let db = self.db();
        db.prepare_cached("INSERT INTO event (time_ms, app, deployment, body) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                time_ms,
                app.map(|a| a.id),
                deployment.map(|d| d.0),
                serde_json::to_string(&event)?
            ])?;
        Ok(EventRow {
            id: db.last_insert_rowid(),
            time_ms,
            app: app.map(|a| a.name.to_string()),
            deployment: deployment.map(|d| d.0),
            event,
        })
    }

    /// The newest `limit` events of an app after `after`, oldest first.
    pub fn events(&self, app: &App, after: i64, limit: usize) -> Result<Vec<EventRow>> {
        self.query_events(
            "SELECT id, time_ms, deployment, body FROM
             (SELECT * FROM event WHERE app = ?1 AND id > ?2 ORDER BY id DESC LIMIT ?3) ORDER BY id",
            params![app.id, after, limit as i64],
            app,
        )
    }

    /// Tells whether this was recorded before: to the letter, or with more said at its end.
    pub fn has_event_like(&self, app: Option<&App>, event: &Event) -> Result<bool> {
        let body = serde_json::to_string(event)?;
        let more = format!("{},", body.trim_end_matches('}'));
        let sql = "SELECT EXISTS (SELECT 1 FROM event
                   WHERE app IS ?1 AND (body = ?2 OR substr(body, 1, length(?3)) = ?3))";
        Ok(self.db().query_row(sql, params![app.map(|a| a.id), body, more], |row| row.get(0))?)
    }

    /// All events of the app's newest deployment, oldest first.
    pub fn last_deployment_events(&self, app: &App) -> Result<Vec<EventRow>> {
        self.query_events(
            "SELECT id, time_ms, deployment, body FROM event WHERE deployment =
             (SELECT MAX(id) FROM deployment WHERE app = ?1) ORDER BY id",
            params![app.id],
            app,
        )
    }

    /// Events of one deployment after `after`, oldest first.
    pub fn deployment_events(
        &self,
        app: &App,
        deployment: DeploymentId,
        after: i64,
    ) -> Result<Vec<EventRow>> {
        self.query_events(
            "SELECT id, time_ms, deployment, body FROM event WHERE deployment = ?1 AND id > ?2 ORDER BY id",
            params![deployment.0, after],
            app,
        )
    }

    /// Events of all apps after `after`, oldest first.
    pub fn all_events(&self, after: i64, limit: usize) -> Result<Vec<EventRow>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT event.id, event.time_ms, event.deployment, event.body, app.name
             FROM event LEFT JOIN app ON app.id = event.app WHERE event.id > ?1 ORDER BY event.id LIMIT ?2",
        )?;
        let rows = statement.query_map(params![after, limit as i64], |row| read(row, row.get(4)?))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn forget_old_events(&self, app: &App) -> Result<()> {
        self.db().execute(
            "DELETE FROM event WHERE app = ?1 AND id <
             (SELECT MIN(id) FROM (SELECT id FROM event WHERE app = ?1 ORDER BY id DESC LIMIT ?2))",
            params![app.id, KEEP],
        )?;
        Ok(())
    }

    fn query_events(&self, sql: &str, params: impl rusqlite::Params, app: &App) -> Result<Vec<EventRow>> {
        let db = self.db();
        let mut statement = db.prepare_cached(sql)?;
        let rows = statement.query_map(params, |row| from_row(row, app))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn from_row(row: &Row<'_>, app: &App) -> rusqlite::Result<EventRow> {
    read(row, Some(app.name.to_string()))
}

fn read(row: &Row<'_>, app: Option<String>) -> rusqlite::Result<EventRow> {
    let body: String = row.get(3)?;
    Ok(EventRow {
        id: row.get(0)?,
        time_ms: row.get(1)?,
        app,
        deployment: row.get(2)?,
        event: serde_json::from_str(&body).map_err(|e| foreign(3, e))?,
    })
}
