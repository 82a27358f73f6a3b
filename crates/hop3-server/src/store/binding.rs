// SPDX-License-Identifier: Apache-2.0
//! Table `binding`: which addons an app is told of, and under which names.

use super::Store;
use super::app::{App, COLUMN_COUNT, COLUMNS, from_row};
use anyhow::Result;
use rusqlite::params;

/// An addon attached to an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Row id of the addon.
    pub addon: i64,
    pub prefix: String,
    pub slot: String,
    pub is_primary: bool,
}

impl Store {
    /// Binds, as the primary of its slot when there is none yet. Binding twice is one; `false` when another addon of
    /// the app has the prefix.
    pub fn bind(&self, app: &App, addon: i64, prefix: &str, slot: &str) -> Result<bool> {
        let db = self.db();
        db.execute(
            "INSERT INTO binding (app, addon, prefix, slot, is_primary)
             VALUES (?1, ?2, ?3, ?4, NOT EXISTS (SELECT 1 FROM binding WHERE app = ?1 AND slot = ?4 AND is_primary))
             ON CONFLICT DO NOTHING",
            params![app.id, addon, prefix, slot],
        )?;
        let sql = "SELECT EXISTS (SELECT 1 FROM binding WHERE app = ?1 AND addon = ?2)";
        Ok(db.query_row(sql, params![app.id, addon], |row| row.get(0))?)
    }

    /// Tells whether it was bound. The oldest other one of the slot becomes its primary.
    pub fn unbind(&self, app: &App, addon: i64) -> Result<bool> {
        let mut db = self.db();
        let tx = db.transaction()?;
        let removed =
            tx.execute("DELETE FROM binding WHERE app = ?1 AND addon = ?2", params![app.id, addon])? == 1;
        tx.execute(
            "UPDATE binding SET is_primary = 1 WHERE rowid IN
             (SELECT MIN(rowid) FROM binding b WHERE app = ?1 GROUP BY slot
              HAVING MAX(is_primary) = 0)",
            [app.id],
        )?;
        tx.commit()?;
        Ok(removed)
    }

    /// Makes a bound addon the primary of its slot; false when it is not bound.
    pub fn promote(&self, app: &App, addon: i64) -> Result<bool> {
        let mut db = self.db();
        let tx = db.transaction()?;
        tx.execute(
            "UPDATE binding SET is_primary = 0 WHERE app = ?1
             AND slot = (SELECT slot FROM binding WHERE app = ?1 AND addon = ?2)",
            params![app.id, addon],
        )?;
        let sql = "UPDATE binding SET is_primary = 1 WHERE app = ?1 AND addon = ?2";
        let promoted = tx.execute(sql, params![app.id, addon])? == 1;
        tx.commit()?;
        Ok(promoted)
    }

    /// Puts a binding back as it was.
    pub fn rebind(&self, app: &App, before: &Bound) -> Result<()> {
        self.bind(app, before.addon, &before.prefix, &before.slot)?;
        if before.is_primary {
            self.promote(app, before.addon)?;
        }
        Ok(())
    }

    /// Those of an app, oldest first.
    pub fn bindings(&self, app: &App) -> Result<Vec<Bound>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT addon, prefix, slot, is_primary FROM binding WHERE app = ?1 ORDER BY rowid",
        )?;
        let rows = statement.query_map([app.id], |row| {
            Ok(Bound { addon: row.get(0)?, prefix: row.get(1)?, slot: row.get(2)?, is_primary: row.get(3)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The apps that an addon is bound to, with the names they know it by.
    pub fn apps_of_addon(&self, addon: i64) -> Result<Vec<(App, Bound)>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!(
            "SELECT {COLUMNS}, b.addon, b.prefix, b.slot, b.is_primary FROM binding b JOIN app ON app.id = b.app
             WHERE b.addon = ?1 ORDER BY app.name"
        ))?;
        let rows = statement.query_map([addon], |row| {
            let at = |offset| COLUMN_COUNT + offset;
            let bound = Bound {
                addon: row.get(at(0))?,
                prefix: row.get(at(1))?,
                slot: row.get(at(2))?,
                is_primary: row.get(at(3))?,
            };
            Ok((from_row(row)?, bound))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
