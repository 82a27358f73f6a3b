// SPDX-License-Identifier: Apache-2.0
//! `mail.json`: who may send, and what becomes of it. Written by the driver, read by the server; mode 0600.

use hop3_core::{Kind, Problem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(super) const FILE: &str = "mail.json";

#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    pub port: u16,
    pub users: BTreeMap<String, User>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct User {
    pub password: String,
    pub way: Way,
}

/// What becomes of a message.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    /// Kept as a file.
    Inbox,
    /// Handed to a smarthost.
    Relay { url: String, tls: Tls },
}

/// How a smarthost is talked to.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tls {
    /// In the clear.
    No,
    /// By STARTTLS, and not at all without.
    Upgrade,
    /// From the first byte on.
    Whole,
}

impl Settings {
    pub(super) fn read(text: &str) -> Result<Settings, Problem> {
        serde_json::from_str(text).map_err(|_| {
            Problem::new(Kind::Bug, "addon.bad-settings", "the settings of the mail server cannot be read")
        })
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("text and numbers are JSON")
    }
}

/// 128 random bits, as hexadecimal digits.
pub(super) fn password() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(|e| {
        Problem::new(Kind::Unavailable, "addon.no-password", "no password can be made").detail(e.to_string())
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
