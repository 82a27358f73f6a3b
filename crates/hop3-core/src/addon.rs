// SPDX-License-Identifier: Apache-2.0
//! Addons as data: what is wanted of one, the server it lives on, and what an app gets to know of it.
//!
//! A *server* is the process of a product (PostgreSQL 15 on a port); an *addon* is what one app or a few share of it: a
//! database with its users. A kind either shares one server among many addons or has a server for each.

use crate::name::{AddonKind, AddonName, EnvKey, ServerName, TableName};
use crate::secret::{Secret, exposed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A server that should run.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddonServer {
    /// Names its directory and its process; never given again.
    pub name: ServerName,
    pub kind: AddonKind,
    /// As installed: `15`. Empty where a kind has but one.
    pub version: String,
    /// Whose process it is; as the supervisor's own where that is unprivileged.
    pub user: Option<u32>,
    /// On 127.0.0.1. 0 where the kind has no server of its own.
    pub port: u16,
    /// Of whoever administers it.
    #[serde(with = "exposed")]
    #[schemars(with = "String")]
    pub password: Secret<String>,
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Of the process before it that shares its connections, where an addon on it asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooler: Option<Pooler>,
}

/// What a server's pooler runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pooler {
    /// As the server's own, and never the same.
    pub user: Option<u32>,
    /// On 127.0.0.1.
    pub port: u16,
}

/// The option that asks a pooler to stand before an addon, of kinds that can have one.
pub const POOL_OPTION: &str = "pool";

/// What that option says while apps that were led to the pooler are told of the server itself.
pub const POOL_ENDING: &str = "ending";

/// A user of an addon that may come in.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Credential {
    pub user: String,
    #[serde(with = "exposed")]
    #[schemars(with = "String")]
    pub password: Secret<String>,
}

/// An addon that should be there.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct WantedAddon {
    pub name: AddonName,
    /// What it is called on its server: lower-case letters, digits and `_`. Stays when the addon is renamed.
    pub database: String,
    pub server: AddonServer,
    /// Exactly these may come in, the last one is told to apps. During a rotation there are two.
    pub credentials: Vec<Credential>,
    /// Options of its kind: `extensions` to `pg_trgm,hstore`.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

impl WantedAddon {
    /// The credential that apps are told.
    pub fn credential(&self) -> &Credential {
        self.credentials.last().expect("an addon is made with a credential and never without one")
    }
}

/// What an app is told of an addon, and how a person gets into it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Binding {
    /// Variables by their usual names: `DATABASE_URL`, `PGHOST`, …
    #[serde(with = "exposed_values")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub variables: BTreeMap<EnvKey, Secret<String>>,
    /// A client for a person's terminal; it gets `variables` in its environment. Empty when there is none.
    #[serde(default)]
    pub shell: Vec<String>,
    /// Its slot, where that is not its kind's: the URL of an external service says what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
}

mod exposed_values {
    use super::{BTreeMap, EnvKey, Secret};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<EnvKey, Secret<String>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(key, value)| (key, value.expose())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<EnvKey, Secret<String>>, D::Error> {
        let map = BTreeMap::<EnvKey, String>::deserialize(deserializer)?;
        Ok(map.into_iter().map(|(key, value)| (key, Secret::new(value))).collect())
    }
}

/// What a kind is and can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindFacts {
    pub kind: AddonKind,
    /// `PostgreSQL`.
    pub title: String,
    /// One primary addon of a slot gives an app the plain variable names: `database`, `redis`, `mail`.
    pub slot: String,
    /// Versions that can be had here, newest first; a word when the product has but one.
    pub versions: Vec<String>,
    /// What to do when there is none: a command.
    pub install: String,
    /// Those of a version: `can`.
    pub capabilities: KindCapabilities,
    /// Options that `create` takes, with a sentence on each.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Those of them that are of the server, and so of every addon that shares it.
    #[serde(default)]
    pub server_options: Vec<String>,
}

/// The version of what somebody else manages: known by the address that is given as its secret.
pub const ELSEWHERE: &str = "elsewhere";

impl KindFacts {
    /// What an addon of that version can do: of what lies elsewhere, only the address is known here.
    pub fn can(&self, version: &str) -> KindCapabilities {
        if version == ELSEWHERE {
            return KindCapabilities { takes_secret: true, ..KindCapabilities::default() };
        }
        // Where a kind has both, those that run here have passwords that Hop3 makes.
        let has_both = self.versions.iter().any(|version| version == ELSEWHERE);
        KindCapabilities { takes_secret: self.capabilities.takes_secret && !has_both, ..self.capabilities }
    }
}

/// What a kind can do, asked before a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KindCapabilities {
    /// Many addons may live on one server.
    pub shares: bool,
    /// It has a server that is kept running here.
    pub serves: bool,
    /// Its data can be written out and read back.
    pub backs_up: bool,
    /// Two credentials can be valid at the same time.
    pub rotates: bool,
    /// What it held at a past moment can be had, where the option `history` is set.
    pub remembers: bool,
    /// A pooler can stand before it, where the option `pool` is set.
    pub pools: bool,
    /// It may be given a secret when it is made, and another one later: the address of what lies elsewhere.
    pub takes_secret: bool,
}

/// How an addon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddonStatus {
    /// It answers.
    pub is_up: bool,
    /// As the server says it: `15.19`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// Why it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What its pooler carries, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolStatus>,
}

/// How a pooler serves an addon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolStatus {
    /// For how long a client has a connection of the server's: `transaction` or `session`.
    pub mode: String,
    pub port: u16,
    /// Connections of apps to it, those that wait for one of the server's among them.
    pub clients: u64,
    pub waiting: u64,
    /// Connections of its own to the server.
    pub connections: u64,
}

/// One table of an addon, out of a backup of all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTable {
    /// As it is called in the backup.
    pub name: TableName,
    /// Beside what is there, under this name; in place of its rows unless set.
    pub new_name: Option<TableName>,
}

/// What an addon holds, counted part by part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub unit: HeldUnit,
    /// Parts by their names, with how much is in each.
    pub parts: BTreeMap<String, u64>,
}

/// What is counted, and in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldUnit {
    /// Rows, in tables. Every table is among the parts.
    Rows,
    /// Keys that do not go by themselves, in databases. Databases that could not be counted are not among the parts.
    Keys,
}

impl Held {
    pub fn total(&self) -> u64 {
        self.parts.values().sum()
    }

    /// Where what was restored is not what was saved: a line for each part.
    pub fn differences(&self, restored: &Held) -> Vec<String> {
        let (part, thing) = match self.unit {
            HeldUnit::Rows => ("table", "rows"),
            HeldUnit::Keys => ("database", "keys"),
        };
        let said = |name: &str, saved: u64, found: u64| {
            let (saved, found) = (grouped(saved), grouped(found));
            format!("{part} {name}: {saved} {thing} were saved, {found} are in what was restored")
        };
        let mut lines = Vec::new();
        for (name, saved) in &self.parts {
            match (restored.parts.get(name), self.unit) {
                (Some(found), _) if found == saved => {}
                (Some(found), _) => lines.push(said(name, *saved, *found)),
                (None, HeldUnit::Keys) if *saved == 0 => {}
                (None, HeldUnit::Keys) => lines.push(said(name, *saved, 0)),
                (None, HeldUnit::Rows) => lines.push(format!("{part} {name} was saved, and is not there")),
            }
        }
        let is_new = |name: &&String| self.unit == HeldUnit::Rows && !self.parts.contains_key(*name);
        let new = restored.parts.keys().filter(is_new);
        lines.extend(new.map(|name| format!("{part} {name} is there, and was not saved")));
        lines
    }
}

/// `12 tables, 48,210 rows`
impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: u64, one: &str, many: &str| {
            format!("{} {}", grouped(count), if count == 1 { one } else { many })
        };
        match self.unit {
            HeldUnit::Rows => {
                let tables = counted(self.parts.len() as u64, "table", "tables");
                write!(f, "{tables}, {}", counted(self.total(), "row", "rows"))
            }
            HeldUnit::Keys => f.write_str(&counted(self.total(), "lasting key", "lasting keys")),
        }
    }
}

/// `48,210`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The word that Hop3 uses for a kind that people call otherwise.
pub fn usual_kind(kind: &AddonKind) -> AddonKind {
    let usual = match kind.as_str() {
        "postgresql" | "pg" => "postgres",
        "mariadb" => "mysql",
        "valkey" => "redis",
        "email" | "smtp" => "mail",
        "amqp" => "rabbitmq",
        other => other,
    };
    usual.parse().unwrap_or_else(|_| kind.clone())
}

#[cfg(test)]
mod tests;
