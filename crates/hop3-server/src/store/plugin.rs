// SPDX-License-Identifier: Apache-2.0
//! Tables `plugin` and `plugin_key`: what is installed, what it is allowed, and how far it has been told what happened.

use super::app::foreign;
use super::{Store, now_ms};
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hop3_core::name::PluginName;
use hop3_core::plugin::{Accepted, Introduction, PluginInfo, PluginKey};
use rusqlite::{OptionalExtension, Row, params};

/// An installed plugin.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub info: PluginInfo,
    pub user: u32,
}

impl Plugin {
    pub fn name(&self) -> &PluginName {
        self.info.name()
    }

    pub fn accepted(&self) -> Accepted {
        Accepted { introduction: self.info.introduction.clone(), user: self.user }
    }
}

const COLUMNS: &str = "uid, introduction, enabled, signed_by, installed_ms, last_event";

impl Store {
    pub fn plugins(&self) -> Result<Vec<Plugin>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM plugin ORDER BY name"))?;
        let rows = statement.query_map([], from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn plugin(&self, name: &PluginName) -> Result<Option<Plugin>> {
        let sql = format!("SELECT {COLUMNS} FROM plugin WHERE name = ?1");
        Ok(self.db().prepare_cached(&sql)?.query_row([name.as_str()], from_row).optional()?)
    }

    /// Makes or replaces a plugin. It is told of what happens from now on; one that was there, of what it was not.
    pub fn put_plugin(&self, plugin: &Plugin) -> Result<()> {
        let info = &plugin.info;
        self.db().execute(
            "INSERT INTO plugin (name, uid, introduction, enabled, signed_by, installed_ms, last_event)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT COALESCE(MAX(id), 0) FROM event))
             ON CONFLICT (name) DO UPDATE SET introduction = excluded.introduction, enabled = excluded.enabled,
                 signed_by = excluded.signed_by, installed_ms = excluded.installed_ms",
            params![
                info.name().as_str(),
                plugin.user,
                serde_json::to_string(&info.introduction)?,
                info.enabled,
                info.signed_by,
                now_ms(),
            ],
        )?;
        Ok(())
    }

    pub fn set_plugin_enabled(&self, name: &PluginName, enabled: bool) -> Result<()> {
        self.db()
            .execute("UPDATE plugin SET enabled = ?2 WHERE name = ?1", params![name.as_str(), enabled])?;
        Ok(())
    }

    pub fn set_plugin_event(&self, name: &PluginName, last: i64) -> Result<()> {
        self.db()
            .execute("UPDATE plugin SET last_event = ?2 WHERE name = ?1", params![name.as_str(), last])?;
        Ok(())
    }

    /// Keys whose bundles are taken, with their bytes.
    pub fn plugin_keys(&self) -> Result<Vec<(PluginKey, Vec<u8>)>> {
        let db = self.db();
        let mut statement =
            db.prepare_cached("SELECT name, public_key, created_ms FROM plugin_key ORDER BY name")?;
        let rows = statement.query_map([], |row| {
            let bytes: Vec<u8> = row.get(1)?;
            let public_key = STANDARD.encode(&bytes);
            Ok((PluginKey { name: row.get(0)?, public_key, created_ms: row.get(2)? }, bytes))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// False when the name or the key is there already.
    pub fn add_plugin_key(&self, name: &str, key: &[u8]) -> Result<bool> {
        let added = self.db().execute(
            "INSERT INTO plugin_key (name, public_key, created_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![name, key, now_ms()],
        )?;
        Ok(added == 1)
    }

    pub fn remove_plugin_key(&self, name: &str) -> Result<bool> {
        Ok(self.db().execute("DELETE FROM plugin_key WHERE name = ?1", [name])? == 1)
    }

    pub fn remove_plugin(&self, name: &PluginName) -> Result<()> {
        self.db().execute("DELETE FROM plugin WHERE name = ?1", [name.as_str()])?;
        Ok(())
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Plugin> {
    let text = row.get_ref(1)?.as_str().map_err(|e| foreign(1, e))?;
    let introduction: Introduction = serde_json::from_str(text).map_err(|e| foreign(1, e))?;
    Ok(Plugin {
        user: row.get(0)?,
        info: PluginInfo {
            introduction,
            enabled: row.get(2)?,
            signed_by: row.get(3)?,
            installed_ms: row.get(4)?,
            last_event: row.get(5)?,
        },
    })
}
