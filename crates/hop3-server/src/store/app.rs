// SPDX-License-Identifier: Apache-2.0
//! Table `app`.

use super::{Store, now_ms};
use anyhow::Result;
use hop3_core::name::{AppName, ProcessName};
use hop3_core::release::ReleaseNumber;
use hop3_core::sleep::{Range, Sleep, SleepTimes};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    pub id: i64,
    pub name: AppName,
    pub branch: String,
    pub stopped: bool,
    pub current: Option<ReleaseNumber>,
    pub scale: BTreeMap<ProcessName, u32>,
    pub created_ms: u64,
    pub sleep: SleepWish,
    /// How the web process of the current release sleeps now.
    pub asleep: Option<Sleep>,
}

/// What people asked for about sleep; it wins over the files of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SleepWish {
    /// Of processes that were scaled; with a least of 0 they sleep.
    pub ranges: BTreeMap<ProcessName, Range>,
    pub times: SleepTimes,
}

impl App {
    /// The app as it is for that release: only the current one sleeps.
    pub fn serving(&self, release: ReleaseNumber) -> App {
        App { asleep: self.asleep.filter(|_| self.current == Some(release)), ..self.clone() }
    }

    /// The user the app's processes have, where the supervisor may give them one.
    pub fn uid(&self) -> u32 {
        self.id as u32
    }

    /// Wanted instances of a process now.
    pub fn count(&self, process: &ProcessName) -> u32 {
        match self.asleep {
            Some(Sleep::Stopped) if *process == ProcessName::web() => 0,
            _ => self.count_awake(process),
        }
    }

    /// As scaled, else one of each.
    pub fn count_awake(&self, process: &ProcessName) -> u32 {
        self.scale.get(process).copied().unwrap_or(1)
    }
}

pub(super) const COLUMNS: &str = "app.id, app.name, app.branch, app.stopped, app.current, app.scale, app.created_ms, \
     app.sleep, app.asleep";
/// How many these are.
pub(super) const COLUMN_COUNT: usize = 9;

impl Store {
    /// Makes an app; `None` when the name is taken.
    pub fn create_app(&self, name: &AppName) -> Result<Option<App>> {
        let made = self.db().execute(
            "INSERT INTO app (name, created_ms) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
            params![name.as_str(), now_ms()],
        )?;
        if made == 0 { Ok(None) } else { self.app(name) }
    }

    pub fn app(&self, name: &AppName) -> Result<Option<App>> {
        let sql = format!("SELECT {COLUMNS} FROM app WHERE name = ?1");
        Ok(self.db().prepare_cached(&sql)?.query_row([name.as_str()], from_row).optional()?)
    }

    pub fn apps(&self) -> Result<Vec<App>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM app ORDER BY name"))?;
        let rows = statement.query_map([], from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Gives an app another name; false when that one is taken.
    pub fn rename_app(&self, app: &App, name: &AppName) -> Result<bool> {
        let changed = self
            .db()
            .execute("UPDATE OR IGNORE app SET name = ?2 WHERE id = ?1", params![app.id, name.as_str()])?;
        Ok(changed == 1)
    }

    pub fn destroy_app(&self, app: &App) -> Result<()> {
        self.db().execute("DELETE FROM app WHERE id = ?1", [app.id])?;
        Ok(())
    }

    pub fn set_branch(&self, app: &App, branch: &str) -> Result<()> {
        self.db().execute("UPDATE app SET branch = ?2 WHERE id = ?1", params![app.id, branch])?;
        Ok(())
    }

    pub fn set_stopped(&self, app: &App, stopped: bool) -> Result<()> {
        self.db().execute("UPDATE app SET stopped = ?2 WHERE id = ?1", params![app.id, stopped])?;
        Ok(())
    }

    pub fn set_scale(&self, app: &App, scale: &BTreeMap<ProcessName, u32>) -> Result<()> {
        let text = serde_json::to_string(scale)?;
        self.db().execute("UPDATE app SET scale = ?2 WHERE id = ?1", params![app.id, text])?;
        Ok(())
    }

    pub fn set_sleep(&self, app: &App, wish: &SleepWish) -> Result<()> {
        let text = serde_json::to_string(wish)?;
        self.db().execute("UPDATE app SET sleep = ?2 WHERE id = ?1", params![app.id, text])?;
        Ok(())
    }

    pub fn set_asleep(&self, app: &App, level: Option<Sleep>) -> Result<()> {
        let word = level.map(|level| match level {
            Sleep::Frozen => "frozen",
            Sleep::Stopped => "stopped",
        });
        self.db().execute("UPDATE app SET asleep = ?2 WHERE id = ?1", params![app.id, word])?;
        Ok(())
    }
}

/// Reads the first columns of a row.
pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<App> {
    let text = |column| row.get_ref(column)?.as_str().map_err(|e| foreign(column, e));
    let (name, scale) = (text(1)?, text(5)?);
    Ok(App {
        id: row.get(0)?,
        name: name.parse().map_err(|p: hop3_core::Problem| foreign(1, p))?,
        branch: row.get(2)?,
        stopped: row.get(3)?,
        current: row.get::<_, Option<u32>>(4)?.map(ReleaseNumber),
        scale: serde_json::from_str(scale).map_err(|e| foreign(5, e))?,
        created_ms: row.get(6)?,
        sleep: serde_json::from_str(text(7)?).map_err(|e| foreign(7, e))?,
        asleep: match row.get::<_, Option<String>>(8)?.as_deref() {
            Some("frozen") => Some(Sleep::Frozen),
            Some(_) => Some(Sleep::Stopped),
            None => None,
        },
    })
}

/// A column that does not hold what this program writes there.
pub(super) fn foreign(column: usize, e: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
}
