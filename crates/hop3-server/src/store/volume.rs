// SPDX-License-Identifier: Apache-2.0
//! Tables `volume` and `volume_mount`.

use super::app::{App, COLUMN_COUNT, COLUMNS, foreign, from_row};
use super::{Store, now_ms};
use anyhow::Result;
use hop3_core::name::{VolumeName, VolumePath};
use rusqlite::{OptionalExtension, Row, params};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    pub id: i64,
    pub name: VolumeName,
    /// Whose its files are.
    pub uid: u32,
    pub size_bytes: Option<u64>,
    /// It was told that it is nearly full.
    pub warned: bool,
    pub destroyed_ms: Option<u64>,
    pub created_ms: u64,
}

/// A volume as an app sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub volume: Volume,
    pub path: VolumePath,
    pub is_owner: bool,
}

const VOLUME: &str = "v.id, v.name, v.uid, v.size_bytes, v.warned, v.destroyed_ms, v.created_ms";
/// How many these are.
const VOLUME_COUNT: usize = 7;

impl Store {
    /// Makes a volume; `None` when the name is taken.
    pub fn create_volume(&self, name: &VolumeName, uid: u32, size: Option<u64>) -> Result<Option<Volume>> {
        let made = self.db().execute(
            "INSERT INTO volume (name, uid, size_bytes, created_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO NOTHING",
            params![name.as_str(), uid, size, now_ms()],
        )?;
        if made == 0 { Ok(None) } else { self.volume(name) }
    }

    pub fn volume(&self, name: &VolumeName) -> Result<Option<Volume>> {
        let sql = format!("SELECT {VOLUME} FROM volume v WHERE v.name = ?1");
        let db = self.db();
        Ok(db.prepare_cached(&sql)?.query_row([name.as_str()], volume_of).optional()?)
    }

    pub fn volumes(&self) -> Result<Vec<Volume>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!("SELECT {VOLUME} FROM volume v ORDER BY v.name"))?;
        let rows = statement.query_map([], volume_of)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn set_volume_owner(&self, volume: &Volume, uid: u32) -> Result<()> {
        self.db().execute("UPDATE volume SET uid = ?2 WHERE id = ?1", params![volume.id, uid])?;
        Ok(())
    }

    pub fn set_volume_size(&self, volume: &Volume, size_bytes: Option<u64>) -> Result<()> {
        self.db()
            .execute("UPDATE volume SET size_bytes = ?2 WHERE id = ?1", params![volume.id, size_bytes])?;
        Ok(())
    }

    /// Tells whether that changed.
    pub fn set_volume_warned(&self, volume: &Volume, warned: bool) -> Result<bool> {
        let sql = "UPDATE volume SET warned = ?2 WHERE id = ?1 AND warned <> ?2";
        Ok(self.db().execute(sql, params![volume.id, warned])? == 1)
    }

    /// When it was destroyed; `None` brings it back.
    pub fn set_volume_destroyed(&self, volume: &Volume, at_ms: Option<u64>) -> Result<()> {
        self.db().execute("UPDATE volume SET destroyed_ms = ?2 WHERE id = ?1", params![volume.id, at_ms])?;
        Ok(())
    }

    pub fn forget_volume(&self, volume: &Volume) -> Result<()> {
        self.db().execute("DELETE FROM volume WHERE id = ?1", [volume.id])?;
        Ok(())
    }

    /// Attaches, or moves to another path; as owner when there is none. False when another volume of the app is there.
    pub fn attach(&self, app: &App, volume: &Volume, path: &VolumePath) -> Result<bool> {
        let changed = self.db().execute(
            "INSERT INTO volume_mount (app, volume, path, is_owner)
             SELECT ?1, ?2, ?3, NOT EXISTS (SELECT 1 FROM volume_mount WHERE volume = ?2 AND is_owner)
             WHERE NOT EXISTS (SELECT 1 FROM volume_mount WHERE app = ?1 AND path = ?3 AND volume <> ?2)
             ON CONFLICT (app, volume) DO UPDATE SET path = excluded.path",
            params![app.id, volume.id, path.as_str()],
        )?;
        Ok(changed == 1)
    }

    /// Tells whether it was attached.
    pub fn detach(&self, app: &App, volume: &Volume) -> Result<bool> {
        let sql = "DELETE FROM volume_mount WHERE app = ?1 AND volume = ?2";
        Ok(self.db().execute(sql, params![app.id, volume.id])? == 1)
    }

    /// Puts an attachment back as it was.
    pub fn reattach(&self, app: &App, before: &Attached) -> Result<()> {
        self.db().execute(
            "INSERT INTO volume_mount (app, volume, path, is_owner) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (app, volume) DO UPDATE SET path = excluded.path",
            params![app.id, before.volume.id, before.path.as_str(), before.is_owner],
        )?;
        Ok(())
    }

    /// Those that an app sees.
    pub fn attached(&self, app: &App) -> Result<Vec<Attached>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!(
            "SELECT {VOLUME}, m.path, m.is_owner FROM volume_mount m JOIN volume v ON v.id = m.volume
             WHERE m.app = ?1 ORDER BY m.path"
        ))?;
        let rows = statement.query_map([app.id], |row| {
            let volume = volume_of(row)?;
            Ok(Attached { volume, path: word(row, VOLUME_COUNT)?, is_owner: row.get(VOLUME_COUNT + 1)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The apps that see a volume: where, and which of them owns it.
    pub fn apps_of_volume(&self, volume: &Volume) -> Result<Vec<(App, VolumePath, bool)>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!(
            "SELECT {COLUMNS}, m.path, m.is_owner FROM volume_mount m JOIN app ON app.id = m.app
             WHERE m.volume = ?1 ORDER BY app.name"
        ))?;
        let rows = statement.query_map([volume.id], |row| {
            Ok((from_row(row)?, word(row, COLUMN_COUNT)?, row.get(COLUMN_COUNT + 1)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn volume_of(row: &Row<'_>) -> rusqlite::Result<Volume> {
    Ok(Volume {
        id: row.get(0)?,
        name: word(row, 1)?,
        uid: row.get(2)?,
        size_bytes: row.get(3)?,
        warned: row.get(4)?,
        destroyed_ms: row.get(5)?,
        created_ms: row.get(6)?,
    })
}

fn word<T: std::str::FromStr<Err = hop3_core::Problem>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get::<_, String>(column)?.parse().map_err(|p: hop3_core::Problem| foreign(column, p))
}
