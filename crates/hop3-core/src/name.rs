// SPDX-License-Identifier: Apache-2.0
//! Identifiers, parsed once at the rim. A value of one of these types is safe as a file name, an argument, a DNS
//! label or an environment key; a string is not.

mod domain_path;
mod table;
mod volume_path;

pub use domain_path::DomainPath;

use crate::problem::{Kind, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use table::parse_table_name;
use volume_path::parse_volume_path;

/// Names that would be mistaken for something of Hop3's own or of the operating system's.
const RESERVED: &[&str] =
    &["admin", "api", "aux", "con", "default", "global", "hop3", "localhost", "nul", "prn", "root", "www"];

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $parse:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Problem;
            fn from_str(text: &str) -> Result<Self, Problem> {
                $parse(text).map(|()| $name(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|p: Problem| serde::de::Error::custom(p.title))
            }
        }
    };
}

identifier!(
    /// The name of an app: `[a-z][a-z0-9-]{0,38}`, no double or trailing hyphen, not reserved.
    AppName, parse_app_name
);
identifier!(
    /// The name of an addon: as that of an app.
    AddonName, parse_addon_name
);
identifier!(
    /// A kind of addon: `postgres`. `[a-z][a-z0-9-]{0,30}`.
    AddonKind, parse_addon_kind
);
identifier!(
    /// The server of an addon, `postgres-3`: its kind and a number that is never given again.
    ServerName, parse_server_name
);
identifier!(
    /// The name of a table as SQL writes it: `orders`, `shop.orders`, `"Order Lines"`.
    TableName, parse_table_name
);
identifier!(
    /// The name of a plugin: as that of an app.
    PluginName, parse_plugin_name
);
identifier!(
    /// The name of a volume: as that of an app, up to 79 characters.
    VolumeName, parse_volume_name
);
identifier!(
    /// The name of a snapshot of a volume: as that of an app.
    SnapshotName, parse_snapshot_name
);
identifier!(
    /// Where an app sees a volume: `uploads` beneath its own directory, or `/data`.
    VolumePath, parse_volume_path
);
identifier!(
    /// The name of a process type: `[a-z][a-z0-9_-]{0,31}`.
    ProcessName, parse_process_name
);
identifier!(
    /// A key of the environment: `[A-Za-z_][A-Za-z0-9_]{0,127}`.
    EnvKey, parse_env_key
);
identifier!(
    /// A host name in lower case, at most 253 characters; the first label may be `*`.
    Domain, parse_domain
);

impl VolumePath {
    /// Not beneath the app's own directory.
    pub fn is_absolute(&self) -> bool {
        self.0.starts_with('/')
    }
}

impl ProcessName {
    /// The process that answers HTTP.
    pub fn web() -> ProcessName {
        ProcessName("web".to_owned())
    }
}

fn parse_plugin_name(text: &str) -> Result<(), Problem> {
    parse_plain_name(text, 39, "plugin.bad-name", "a plugin")
}

fn parse_app_name(text: &str) -> Result<(), Problem> {
    parse_plain_name(text, 39, "app.bad-name", "an app")
}

fn parse_addon_name(text: &str) -> Result<(), Problem> {
    parse_plain_name(text, 39, "addon.bad-name", "an addon")
}

fn parse_volume_name(text: &str) -> Result<(), Problem> {
    // That of an app, a hyphen, and a name of its own.
    parse_plain_name(text, 79, "storage.bad-name", "a volume")
}

fn parse_snapshot_name(text: &str) -> Result<(), Problem> {
    parse_plain_name(text, 39, "storage.bad-snapshot-name", "a snapshot")
}

fn parse_plain_name(text: &str, most: usize, code: &'static str, what: &str) -> Result<(), Problem> {
    let refuse = |why: &str| {
        let form = "lower-case letters, digits and single hyphens, and begins with a letter";
        Err(Problem::new(Kind::User, code, format!("{} is not a name for {what}: {why}", quoted(text)))
            .hint(format!("a name is 1 to {most} {form}")))
    };
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text.len() > most {
        return refuse(&format!("it is longer than {most} characters"));
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return refuse("it does not begin with a lower-case letter");
    }
    if let Some(c) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return refuse(&format!("it has the character {c:?}"));
    }
    if text.contains("--") || text.ends_with('-') {
        return refuse("hyphens stand alone, between letters or digits");
    }
    if RESERVED.contains(&text) {
        return refuse("it is reserved");
    }
    Ok(())
}

fn parse_addon_kind(text: &str) -> Result<(), Problem> {
    if is_word(text, 31) {
        return Ok(());
    }
    Err(Problem::new(Kind::User, "addon.bad-kind", format!("{} is not a kind of addon", quoted(text)))
        .hint("see the kinds with: hop3 addon kinds"))
}

fn parse_server_name(text: &str) -> Result<(), Problem> {
    if is_word(text, 60) {
        return Ok(());
    }
    Err(Problem::new(Kind::Bug, "addon.bad-server", format!("{} is not the name of a server", quoted(text))))
}

fn is_word(text: &str, most: usize) -> bool {
    text.len() <= most
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
}

fn parse_process_name(text: &str) -> Result<(), Problem> {
    let good = text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_'));
    if good {
        return Ok(());
    }
    Err(Problem::new(Kind::User, "process.bad-name", format!("{} is not a name for a process", quoted(text)))
        .hint(
            "a name is 1 to 32 lower-case letters, digits, hyphens and underscores, and begins with a letter",
        ))
}

fn parse_env_key(text: &str) -> Result<(), Problem> {
    let good = text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if good {
        return Ok(());
    }
    Err(Problem::new(
        Kind::User,
        "config.bad-key",
        format!("{} is not a key for a config variable", quoted(text)),
    )
    .hint("a key is letters, digits and underscores, and does not begin with a digit"))
}

fn parse_domain(text: &str) -> Result<(), Problem> {
    let refuse = |why: &str| {
        Err(Problem::new(
            Kind::User,
            "domain.bad-name",
            format!("{} is not a host name: {why}", quoted(text)),
        )
        .hint("write it in lower case without scheme, port or path, for example shop.example.org"))
    };
    if text.is_empty() || text.len() > 253 {
        return refuse("it must have 1 to 253 characters");
    }
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let labels: Vec<&str> = rest.split('.').collect();
    if rest.parse::<std::net::Ipv4Addr>().is_ok() {
        return refuse("it is an address");
    }
    for label in &labels {
        if label.is_empty() || label.len() > 63 {
            return refuse("each part between dots has 1 to 63 characters");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return refuse("no part begins or ends with a hyphen");
        }
        if let Some(c) = label.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            return refuse(&format!("it has the character {c:?}"));
        }
    }
    if labels.len() < 2 {
        return refuse("it has a single part");
    }
    Ok(())
}

/// Shows hostile text harmlessly: escapes control and direction characters, cuts long text.
fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().count() > 60 {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

#[cfg(test)]
mod tests;
