// SPDX-License-Identifier: Apache-2.0
//! Table `config`: the variables of an app as they are wanted now; releases carry their own copy.

use super::Store;
use super::app::{App, foreign};
use anyhow::Result;
use hop3_core::name::EnvKey;
use rusqlite::params;
use std::collections::BTreeMap;

impl Store {
    pub fn config(&self, app: &App) -> Result<BTreeMap<EnvKey, String>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT key, value FROM config WHERE app = ?1")?;
        let rows =
            statement.query_map([app.id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        let mut config = BTreeMap::new();
        for row in rows {
            let (key, sealed) = row?;
            let value = String::from_utf8(self.sealer.open_sealed(&sealed)?)?;
            config.insert(key.parse().map_err(|p: hop3_core::Problem| foreign(0, p))?, value);
        }
        Ok(config)
    }

    /// Sets and unsets in one transaction.
    pub fn change_config(&self, app: &App, set: &BTreeMap<EnvKey, String>, unset: &[EnvKey]) -> Result<()> {
        let mut db = self.db();
        let tx = db.transaction()?;
        for (key, value) in set {
            tx.execute(
                "INSERT INTO config (app, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (app, key) DO UPDATE SET value = excluded.value",
                params![app.id, key.as_str(), self.sealer.seal(value.as_bytes())?],
            )?;
        }
        for key in unset {
            tx.execute("DELETE FROM config WHERE app = ?1 AND key = ?2", params![app.id, key.as_str()])?;
        }
        Ok(tx.commit()?)
    }

    /// Makes the config exactly this (rollback).
    pub fn replace_config(&self, app: &App, config: &BTreeMap<EnvKey, String>) -> Result<()> {
        let gone: Vec<EnvKey> =
            self.config(app)?.into_keys().filter(|key| !config.contains_key(key)).collect();
        self.change_config(app, config, &gone)
    }
}
