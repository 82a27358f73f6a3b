// SPDX-License-Identifier: Apache-2.0
//! Tables `token` and `ssh_key`: who may come in. Of a token only the SHA-256 digest is kept: it has 256 bits of
//! randomness, so a fast digest is enough.

use super::app::{App, foreign};
use super::{Store, now_ms};
use anyhow::Result;
use hop3_core::api::{KeyInfo, TokenInfo};
use hop3_core::name::AppName;
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Everything.
    Admin,
    /// Everything about one app, except destroying it; nothing else.
    App(AppName),
}

impl Store {
    /// Keeps a token's digest; false when the name is taken.
    pub fn create_token(&self, name: &str, token: &str, app: Option<&App>) -> Result<bool> {
        let made = self.db().execute(
            "INSERT INTO token (name, digest, app, created_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![name, digest(token), app.map(|a| a.id), now_ms()],
        )?;
        Ok(made == 1)
    }

    pub fn grant_of_token(&self, token: &str) -> Result<Option<Grant>> {
        let row: Option<Option<String>> = self
            .db()
            .prepare_cached(
                "SELECT app.name FROM token LEFT JOIN app ON app.id = token.app WHERE digest = ?1",
            )?
            .query_row([digest(token)], |row| row.get(0))
            .optional()?;
        row.map(|app| match app {
            None => Ok(Grant::Admin),
            Some(name) => Ok(Grant::App(name.parse().map_err(|p: hop3_core::Problem| foreign(0, p))?)),
        })
        .transpose()
    }

    /// The name of a known token.
    pub fn name_of_token(&self, token: &str) -> Result<String> {
        let name = "SELECT name FROM token WHERE digest = ?1";
        Ok(self.db().query_row(name, [digest(token)], |row| row.get(0))?)
    }

    pub fn tokens(&self) -> Result<Vec<TokenInfo>> {
        let db = self.db();
        let mut statement = db.prepare(
            "SELECT token.name, app.name, token.created_ms FROM token LEFT JOIN app ON app.id = token.app ORDER BY 1",
        )?;
        let rows = statement.query_map([], |row| {
            let app: Option<String> = row.get(1)?;
            let app =
                app.map(|name| name.parse()).transpose().map_err(|p: hop3_core::Problem| foreign(1, p))?;
            Ok(TokenInfo { name: row.get(0)?, app, created_ms: row.get(2)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn revoke_token(&self, name: &str) -> Result<bool> {
        Ok(self.db().execute("DELETE FROM token WHERE name = ?1", [name])? == 1)
    }

    /// Adds an SSH key; false when the name or the key is there already.
    pub fn add_key(&self, name: &str, public_key: &str, fingerprint: &str) -> Result<bool> {
        let made = self.db().execute(
            "INSERT INTO ssh_key (name, public_key, fingerprint, created_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![name, public_key, fingerprint, now_ms()],
        )?;
        Ok(made == 1)
    }

    /// Name, fingerprint and the key line itself.
    pub fn keys(&self) -> Result<Vec<(KeyInfo, String)>> {
        let db = self.db();
        let mut statement =
            db.prepare("SELECT name, fingerprint, created_ms, public_key FROM ssh_key ORDER BY 1")?;
        let rows = statement.query_map([], |row| {
            let info = KeyInfo { name: row.get(0)?, fingerprint: row.get(1)?, created_ms: row.get(2)? };
            Ok((info, row.get(3)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn remove_key(&self, name: &str) -> Result<bool> {
        Ok(self.db().execute("DELETE FROM ssh_key WHERE name = ?1", [name])? == 1)
    }
}

fn digest(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
