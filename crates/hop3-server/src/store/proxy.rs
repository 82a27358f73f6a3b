// SPDX-License-Identifier: Apache-2.0
//! Table `proxy_setting`: what was set of `[proxy]` by hand.

use super::Store;
use super::app::{App, foreign};
use anyhow::Result;
use hop3_core::config::Assignments;
use rusqlite::params;
use std::collections::HashMap;

impl Store {
    pub fn proxy_settings(&self, app: &App) -> Result<Assignments> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT key, value FROM proxy_setting WHERE app = ?1")?;
        let rows = statement.query_map([app.id], |row| {
            let value = row.get_ref(1)?.as_str().map_err(|e| foreign(1, e))?;
            Ok((row.get(0)?, serde_json::from_str(value).map_err(|e| foreign(1, e))?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Every app's at once.
    pub fn all_proxy_settings(&self) -> Result<HashMap<i64, Assignments>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT app, key, value FROM proxy_setting")?;
        let mut rows = statement.query([])?;
        let mut all: HashMap<i64, Assignments> = HashMap::new();
        while let Some(row) = rows.next()? {
            let value = serde_json::from_str(row.get_ref(2)?.as_str()?)?;
            all.entry(row.get(0)?).or_default().insert(row.get(1)?, value);
        }
        Ok(all)
    }

    /// Makes the settings exactly these, in one transaction.
    pub fn replace_proxy_settings(&self, app: &App, settings: &Assignments) -> Result<()> {
        let mut db = self.db();
        let tx = db.transaction()?;
        tx.execute("DELETE FROM proxy_setting WHERE app = ?1", [app.id])?;
        for (key, value) in settings {
            tx.execute(
                "INSERT INTO proxy_setting (app, key, value) VALUES (?1, ?2, ?3)",
                params![app.id, key, serde_json::to_string(value)?],
            )?;
        }
        Ok(tx.commit()?)
    }
}
