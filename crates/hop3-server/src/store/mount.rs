// SPDX-License-Identifier: Apache-2.0
//! Table `mount`: one owner per path of a domain.

use super::Store;
use super::app::{App, foreign};
use anyhow::Result;
use hop3_core::name::{Domain, DomainPath};
use rusqlite::params;

impl Store {
    /// Gives a path of a domain to an app; the name of the other app when it is taken. Giving it twice is one.
    pub fn add_mount(&self, app: &App, domain: &Domain, path: &str) -> Result<Option<String>> {
        let db = self.db();
        db.execute(
            "INSERT INTO mount (domain, path, app) VALUES (?1, ?2, ?3) ON CONFLICT (domain, path) DO NOTHING",
            params![domain.as_str(), path, app.id],
        )?;
        let owner: (i64, String) = db.query_row(
            "SELECT app.id, app.name FROM mount JOIN app ON app.id = mount.app WHERE domain = ?1 AND path = ?2",
            [domain.as_str(), path],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok((owner.0 != app.id).then_some(owner.1))
    }

    /// Tells whether there was something to take away.
    pub fn remove_mount(&self, app: &App, domain: &Domain, path: &str) -> Result<bool> {
        let sql = "DELETE FROM mount WHERE domain = ?1 AND path = ?2 AND app = ?3";
        Ok(self.db().execute(sql, params![domain.as_str(), path, app.id])? == 1)
    }

    pub fn mounts(&self, app: &App) -> Result<Vec<DomainPath>> {
        let db = self.db();
        let mut statement =
            db.prepare_cached("SELECT domain, path FROM mount WHERE app = ?1 ORDER BY domain, path")?;
        let rows = statement.query_map([app.id], |row| {
            let domain: String = row.get(0)?;
            let domain = domain.parse().map_err(|p: hop3_core::Problem| foreign(0, p))?;
            Ok(DomainPath { domain, path: Some(row.get(1)?) })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Every app's at once.
    pub fn all_mounts(&self) -> Result<Vec<(i64, DomainPath)>> {
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT app, domain, path FROM mount ORDER BY domain, path")?;
        let rows = statement.query_map([], |row| {
            let domain: String = row.get(1)?;
            let domain = domain.parse().map_err(|p: hop3_core::Problem| foreign(1, p))?;
            Ok((row.get(0)?, DomainPath { domain, path: Some(row.get(2)?) }))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
