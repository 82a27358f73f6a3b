// SPDX-License-Identifier: Apache-2.0
//! Table `domain`: one owner per name.

use super::Store;
use super::app::{App, COLUMNS, foreign, from_row};
use anyhow::Result;
use hop3_core::name::Domain;
use rusqlite::{OptionalExtension, params};

impl Store {
    /// Adds a domain to an app; the name of the other app when it is taken. Adding it twice is one.
    pub fn add_domain(&self, app: &App, domain: &Domain) -> Result<Option<String>> {
        let db = self.db();
        db.execute(
            "INSERT INTO domain (name, app) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
            params![domain.as_str(), app.id],
        )?;
        let owner: (i64, String) = db.query_row(
            "SELECT app.id, app.name FROM domain JOIN app ON app.id = domain.app WHERE domain.name = ?1",
            [domain.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok((owner.0 != app.id).then_some(owner.1))
    }

    /// Tells whether there was something to remove.
    pub fn remove_domain(&self, app: &App, domain: &Domain) -> Result<bool> {
        let sql = "DELETE FROM domain WHERE name = ?1 AND app = ?2";
        Ok(self.db().execute(sql, params![domain.as_str(), app.id])? == 1)
    }

    pub fn domains(&self, app: &App) -> Result<Vec<Domain>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT name FROM domain WHERE app = ?1 ORDER BY name")?;
        let rows = statement.query_map([app.id], |row| {
            let name: String = row.get(0)?;
            name.parse().map_err(|p: hop3_core::Problem| foreign(0, p))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Who answers a domain.
    pub fn app_of_domain(&self, domain: &str) -> Result<Option<App>> {
        let sql =
            format!("SELECT {COLUMNS} FROM app JOIN domain ON domain.app = app.id WHERE domain.name = ?1");
        Ok(self.db().prepare_cached(&sql)?.query_row([domain], from_row).optional()?)
    }

    /// Every domain with the row id of its app.
    pub fn all_domains(&self) -> Result<Vec<(i64, Domain)>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT app, name FROM domain ORDER BY name")?;
        let rows = statement.query_map([], |row| {
            let name: String = row.get(1)?;
            Ok((row.get(0)?, name.parse().map_err(|p: hop3_core::Problem| foreign(1, p))?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
