// SPDX-License-Identifier: Apache-2.0
//! The login file: servers and their tokens, `$XDG_CONFIG_HOME/hop3/config.toml`, readable by its owner only.
//!
//! Written to a new file and renamed, so that an interrupted login never loses the other servers' tokens.

use crate::problem;
use crate::trust::Trust;
use hop3_core::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginFile {
    /// The server that commands talk to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(default)]
    servers: BTreeMap<String, Server>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    token: String,
    /// PEM of the authorities that are trusted for it alone, in place of the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
}

/// The stored logins.
pub(crate) struct Logins {
    path: PathBuf,
    file: LoginFile,
}

impl Logins {
    pub(crate) fn read() -> Result<Logins, Problem> {
        Logins::read_from(login_path())
    }

    pub(crate) fn read_from(path: PathBuf) -> Result<Logins, Problem> {
        let file = match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|e| problem::bad_login_file(&path, e.message()))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => LoginFile::default(),
            Err(e) => return Err(problem::unreadable(&path, &e)),
        };
        Ok(Logins { path, file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn default_server(&self) -> Option<(&str, String)> {
        let url = self.file.default.as_deref()?;
        Some((url, self.token(url)?))
    }

    pub(crate) fn token(&self, url: &str) -> Option<String> {
        self.file.servers.get(key(url)).map(|s| s.token.clone())
    }

    /// Whose word is taken for that server, when it is not the machine's authorities'.
    pub(crate) fn ca(&self, url: &str) -> Option<Trust> {
        self.file.servers.get(key(url))?.ca.clone().map(Trust::Only)
    }

    /// Remembers a server and makes it the default.
    pub(crate) fn add(&mut self, url: &str, token: &str, ca: Option<Trust>) -> Result<(), Problem> {
        let ca = ca.and_then(|trust| match trust {
            Trust::Only(pem) => Some(pem),
            Trust::Machine => None,
        });
        self.file.servers.insert(key(url).to_owned(), Server { token: token.to_owned(), ca });
        self.file.default = Some(key(url).to_owned());
        self.write()
    }

    /// Forgets a server (the default one when none is named); tells which.
    pub(crate) fn remove(&mut self, url: Option<&str>) -> Result<Option<String>, Problem> {
        let Some(url) = url.map(|u| key(u).to_owned()).or_else(|| self.file.default.clone()) else {
            return Ok(None);
        };
        if self.file.servers.remove(&url).is_none() {
            return Ok(None);
        }
        if self.file.default.as_ref() == Some(&url) {
            self.file.default = self.file.servers.keys().next().cloned();
        }
        self.write()?;
        Ok(Some(url))
    }

    fn write(&self) -> Result<(), Problem> {
        let failed = |e: io::Error| problem::unwritable(&self.path, &e);
        if let Some(directory) = self.path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        }
        let text = toml::to_string(&self.file).map_err(|e| problem::bad_login_file(&self.path, e))?;
        let fresh = self.path.with_extension(format!("new.{}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&fresh).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&fresh, &self.path).map_err(failed)
    }
}

/// `http://host` and `http://host/` are one server.
fn key(url: &str) -> &str {
    url.trim_end_matches('/')
}

fn login_path() -> PathBuf {
    let base = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))
        .unwrap_or_else(|| PathBuf::from("/nonexistent"));
    base.join("hop3").join("config.toml")
}

#[cfg(test)]
mod tests;
