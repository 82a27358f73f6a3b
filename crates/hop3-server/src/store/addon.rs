// SPDX-License-Identifier: Apache-2.0
//! Tables `addon_server`, `addon` and `addon_credential`.

use super::app::foreign;
use super::{Store, now_ms};
use anyhow::{Context, Result};
use hop3_core::addon::{AddonServer, Binding, Credential, Pooler, WantedAddon};
use hop3_core::name::{AddonKind, AddonName, ServerName};
use hop3_core::secret::Secret;
use hop3_core::tcp::Port;
use rusqlite::{OptionalExtension, Row, params};
use std::collections::BTreeMap;

/// An addon as it is wanted.
#[derive(Clone)]
pub struct Addon {
    pub id: i64,
    pub wanted: WantedAddon,
    /// What apps are told; nothing until it was provisioned.
    pub binding: Option<Binding>,
    pub is_shared: bool,
    pub is_protected: bool,
    /// A port of the machine that leads to its server.
    pub exposed: Option<Port>,
    /// Where a copy of it lies that nobody comes to: an upgrade was begun and not ended.
    pub other_home: Option<ServerName>,
    pub destroyed_ms: Option<u64>,
    pub created_ms: u64,
}

/// A server that does not exist yet.
pub struct NewServer {
    pub kind: AddonKind,
    pub version: String,
    pub is_shared: bool,
    pub uid: u32,
    pub port: u16,
    pub password: Secret<String>,
    pub settings: BTreeMap<String, String>,
}

const SERVER: &str = "s.id, s.name, s.kind, s.version, s.shared, s.uid, s.port, s.password, s.settings, s.pooler_uid, s.pooler_port";
const ADDON: &str = "a.id, a.name, a.database, a.settings, a.binding, a.protected, a.destroyed_ms, a.created_ms, a.exposed_port,
    (SELECT name FROM addon_server WHERE id = a.other_server)";
/// Forgets a server on which nothing lives.
const FORGET: &str = "DELETE FROM addon_server WHERE name = ?1 AND NOT EXISTS
    (SELECT 1 FROM addon WHERE addon_server.id IN (server, other_server))";
/// The first column of `ADDON` where it follows `SERVER`.
const FIRST: usize = 11;

impl Store {
    pub fn create_server(&self, new: &NewServer) -> Result<AddonServer> {
        let sealed = self.sealer.seal(new.password.expose().as_bytes())?;
        let mut db = self.db();
        let tx = db.transaction()?;
        tx.execute(
            "INSERT INTO addon_server (name, kind, version, shared, uid, port, password, settings)
             VALUES ('', ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                new.kind.as_str(),
                new.version,
                new.is_shared,
                new.uid,
                new.port,
                sealed,
                serde_json::to_string(&new.settings)?
            ],
        )?;
        let id = tx.last_insert_rowid();
        let name = format!("{}-{id}", new.kind);
        tx.execute("UPDATE addon_server SET name = ?2 WHERE id = ?1", params![id, name])?;
        tx.commit()?;
        drop(db);
        self.server_named(&name.parse()?)?.context("the server was just made")
    }

    pub fn server_named(&self, name: &ServerName) -> Result<Option<AddonServer>> {
        let sql = format!("SELECT {SERVER} FROM addon_server s WHERE s.name = ?1");
        let db = self.db();
        Ok(db.prepare_cached(&sql)?.query_row([name.as_str()], |row| self.server_of(row)).optional()?)
    }

    /// The server that addons of this kind and version share.
    pub fn shared_server(&self, kind: &AddonKind, version: &str) -> Result<Option<AddonServer>> {
        let sql = format!(
            "SELECT {SERVER} FROM addon_server s WHERE s.kind = ?1 AND s.version = ?2 AND s.shared ORDER BY s.id"
        );
        let db = self.db();
        let found = db
            .prepare_cached(&sql)?
            .query_row([kind.as_str(), version], |row| self.server_of(row))
            .optional()?;
        Ok(found)
    }

    /// Every server, oldest first.
    pub fn addon_servers(&self) -> Result<Vec<AddonServer>> {
        let db = self.db();
        let mut statement =
            db.prepare_cached(&format!("SELECT {SERVER} FROM addon_server s ORDER BY s.id"))?;
        let rows = statement.query_map([], |row| self.server_of(row))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets a server unless an addon lives on it; tells whether it did.
    pub fn forget_server(&self, name: &ServerName) -> Result<bool> {
        Ok(self.db().execute(FORGET, [name.as_str()])? == 1)
    }

    pub fn has_addons(&self, server: &ServerName) -> Result<bool> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM addon a JOIN addon_server s ON s.id = a.server WHERE s.name = ?1)";
        Ok(self.db().query_row(sql, [server.as_str()], |row| row.get(0))?)
    }

    /// Makes an addon with its first credential; `None` when the name is taken.
    pub fn create_addon(
        &self,
        name: &AddonName,
        server: &AddonServer,
        settings: &BTreeMap<String, String>,
        password: &Secret<String>,
    ) -> Result<Option<Addon>> {
        let mut db = self.db();
        let tx = db.transaction()?;
        let made = tx.execute(
            "INSERT INTO addon (name, server, database, settings, created_ms)
             SELECT ?1, id, '', ?3, ?4 FROM addon_server WHERE name = ?2 ON CONFLICT (name) DO NOTHING",
            params![name.as_str(), server.name.as_str(), serde_json::to_string(settings)?, now_ms()],
        )?;
        if made == 0 {
            return Ok(None);
        }
        let id = tx.last_insert_rowid();
        let database = format!("{}_{id}", name.as_str().replace('-', "_"));
        tx.execute("UPDATE addon SET database = ?2 WHERE id = ?1", params![id, database])?;
        tx.commit()?;
        drop(db);
        self.add_credential(id, &format!("{database}_1"), password)?;
        self.addon(name)
    }

    pub fn addon(&self, name: &AddonName) -> Result<Option<Addon>> {
        Ok(self.addons_where("a.name = ?1", &[&name.as_str()])?.pop())
    }

    pub fn addon_of(&self, id: i64) -> Result<Option<Addon>> {
        Ok(self.addons_where("a.id = ?1", &[&id])?.pop())
    }

    pub fn addons(&self) -> Result<Vec<Addon>> {
        self.addons_where("true", &[])
    }

    fn addons_where(&self, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Addon>> {
        let sql = format!(
            "SELECT {SERVER}, {ADDON} FROM addon a JOIN addon_server s ON s.id = a.server
             WHERE {condition} ORDER BY a.name"
        );
        let db = self.db();
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_map(values, |row| self.addon_of_row(row))?;
        let mut addons: Vec<Addon> = rows.collect::<rusqlite::Result<_>>()?;
        let mut statement = db
            .prepare_cached("SELECT user, password FROM addon_credential WHERE addon = ?1 ORDER BY number")?;
        for addon in &mut addons {
            let rows = statement.query_map([addon.id], |row| {
                Ok(Credential { user: row.get(0)?, password: self.opened(row, 1)? })
            })?;
            addon.wanted.credentials = rows.collect::<rusqlite::Result<_>>()?;
        }
        Ok(addons)
    }

    /// Adds the credential that apps are told from now on.
    pub fn add_credential(&self, addon: i64, user: &str, password: &Secret<String>) -> Result<()> {
        let sealed = self.sealer.seal(password.expose().as_bytes())?;
        self.db().execute(
            "INSERT INTO addon_credential (addon, number, user, password)
             SELECT ?1, COALESCE(MAX(number), 0) + 1, ?2, ?3 FROM addon_credential WHERE addon = ?1",
            params![addon, user, sealed],
        )?;
        Ok(())
    }

    /// Forgets a credential, unless it is the last one.
    pub fn remove_credential(&self, addon: i64, user: &str) -> Result<()> {
        self.db().execute(
            "DELETE FROM addon_credential WHERE addon = ?1 AND user = ?2
             AND (SELECT count(*) FROM addon_credential WHERE addon = ?1) > 1",
            params![addon, user],
        )?;
        Ok(())
    }

    pub fn set_binding(&self, addon: i64, binding: &Binding) -> Result<()> {
        let sealed = self.sealer.seal(&serde_json::to_vec(binding)?)?;
        self.db().execute("UPDATE addon SET binding = ?2 WHERE id = ?1", params![addon, sealed])?;
        Ok(())
    }

    pub fn set_addon_settings(&self, addon: i64, settings: &BTreeMap<String, String>) -> Result<()> {
        let text = serde_json::to_string(settings)?;
        self.db().execute("UPDATE addon SET settings = ?2 WHERE id = ?1", params![addon, text])?;
        Ok(())
    }

    pub fn set_server_settings(
        &self,
        server: &ServerName,
        settings: &BTreeMap<String, String>,
    ) -> Result<()> {
        let text = serde_json::to_string(settings)?;
        self.db().execute(
            "UPDATE addon_server SET settings = ?2 WHERE name = ?1",
            params![server.as_str(), text],
        )?;
        Ok(())
    }

    /// The addon lives there from now on, and its copy where it lived.
    pub fn move_addon(&self, addon: i64, server: &ServerName) -> Result<()> {
        self.db().execute(
            "UPDATE addon SET other_server = server,
                 server = (SELECT id FROM addon_server WHERE name = ?2) WHERE id = ?1",
            params![addon, server.as_str()],
        )?;
        Ok(())
    }

    /// A copy of the addon is about to lie there.
    pub fn begin_move(&self, addon: i64, server: &ServerName) -> Result<()> {
        self.db().execute(
            "UPDATE addon SET other_server = (SELECT id FROM addon_server WHERE name = ?2) WHERE id = ?1",
            params![addon, server.as_str()],
        )?;
        Ok(())
    }

    /// There is no copy any more, and no server where it lay unless somebody else lives there.
    pub fn end_move(&self, addon: i64, server: &ServerName) -> Result<()> {
        let mut db = self.db();
        let tx = db.transaction()?;
        tx.execute("UPDATE addon SET other_server = NULL WHERE id = ?1", [addon])?;
        tx.execute(FORGET, [server.as_str()])?;
        Ok(tx.commit()?)
    }

    /// Gives a server a pooler unless it has one; gives the one that it has then.
    pub fn give_pooler(&self, server: &ServerName, pooler: &Pooler) -> Result<Pooler> {
        let sql = "UPDATE addon_server SET pooler_uid = ?2, pooler_port = ?3
             WHERE name = ?1 AND pooler_port IS NULL";
        self.db().execute(sql, params![server.as_str(), pooler.user, pooler.port])?;
        let found = self.server_named(server)?.context("the server is gone")?;
        found.pooler.context("it was just given one")
    }

    /// Gives an addon another name; false when that one is taken.
    pub fn rename_addon(&self, addon: i64, name: &AddonName) -> Result<bool> {
        let sql = "UPDATE OR IGNORE addon SET name = ?2 WHERE id = ?1";
        Ok(self.db().execute(sql, params![addon, name.as_str()])? == 1)
    }

    pub fn set_protected(&self, addon: i64, protected: bool) -> Result<()> {
        self.db().execute("UPDATE addon SET protected = ?2 WHERE id = ?1", params![addon, protected])?;
        Ok(())
    }

    /// Opens a port of the machine, or closes it; false when another addon has it.
    pub fn set_exposed(&self, addon: i64, port: Option<Port>) -> Result<bool> {
        let sql = "UPDATE OR IGNORE addon SET exposed_port = ?2 WHERE id = ?1";
        Ok(self.db().execute(sql, params![addon, port.map(Port::get)])? == 1)
    }

    /// When it was destroyed; `None` brings it back.
    pub fn set_destroyed(&self, addon: i64, at_ms: Option<u64>) -> Result<()> {
        self.db().execute("UPDATE addon SET destroyed_ms = ?2 WHERE id = ?1", params![addon, at_ms])?;
        Ok(())
    }

    pub fn forget_addon(&self, addon: i64) -> Result<()> {
        self.db().execute("DELETE FROM addon WHERE id = ?1", [addon])?;
        Ok(())
    }

    /// Ports that servers have, whether they run or not.
    pub fn addon_ports(&self) -> Result<Vec<u16>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT port FROM addon_server WHERE port <> 0
             UNION SELECT pooler_port FROM addon_server WHERE pooler_port IS NOT NULL",
        )?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn server_of(&self, row: &Row<'_>) -> rusqlite::Result<AddonServer> {
        Ok(AddonServer {
            name: word(row, 1)?,
            kind: word(row, 2)?,
            version: row.get(3)?,
            user: Some(row.get(5)?),
            port: row.get(6)?,
            password: self.opened(row, 7)?,
            settings: json(row, 8)?,
            pooler: match row.get(10)? {
                Some(port) => Some(Pooler { user: row.get(9)?, port }),
                None => None,
            },
        })
    }

    fn addon_of_row(&self, row: &Row<'_>) -> rusqlite::Result<Addon> {
        let wanted = WantedAddon {
            name: word(row, FIRST + 1)?,
            database: row.get(FIRST + 2)?,
            server: self.server_of(row)?,
            credentials: Vec::new(),
            settings: json(row, FIRST + 3)?,
        };
        let sealed: Option<Vec<u8>> = row.get(FIRST + 4)?;
        let opened = |sealed: Vec<u8>| -> Result<Binding> {
            Ok(serde_json::from_slice(&self.sealer.open_sealed(&sealed)?)?)
        };
        let binding =
            sealed.map(opened).transpose().map_err(|e| foreign(FIRST + 4, std::io::Error::other(e)))?;
        Ok(Addon {
            id: row.get(FIRST)?,
            wanted,
            binding,
            is_shared: row.get(4)?,
            is_protected: row.get(FIRST + 5)?,
            destroyed_ms: row.get(FIRST + 6)?,
            created_ms: row.get(FIRST + 7)?,
            other_home: row.get::<_, Option<String>>(FIRST + 9)?.map(|_| word(row, FIRST + 9)).transpose()?,
            exposed: row.get::<_, Option<u16>>(FIRST + 8)?.and_then(Port::new),
        })
    }

    fn opened(&self, row: &Row<'_>, column: usize) -> rusqlite::Result<Secret<String>> {
        let sealed: Vec<u8> = row.get(column)?;
        let opened = || -> Result<String> { Ok(String::from_utf8(self.sealer.open_sealed(&sealed)?)?) };
        opened().map(Secret::new).map_err(|e| foreign(column, std::io::Error::other(e)))
    }
}

fn word<T: std::str::FromStr<Err = hop3_core::Problem>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get::<_, String>(column)?.parse().map_err(|p: hop3_core::Problem| foreign(column, p))
}

fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<BTreeMap<String, String>> {
    serde_json::from_str(&row.get::<_, String>(column)?).map_err(|e| foreign(column, e))
}
