// SPDX-License-Identifier: Apache-2.0
//! Addons: one file or folder for each kind. `host` is what they all need of this machine.
//!
//! A kind's server runs in a sandbox of its own: its own user, its own directory, nothing else beneath the root. What
//! a driver does on it, it does with the product's own client, run as that user in that sandbox; passwords go to
//! clients on their standard input or in their environment, never as arguments.

mod address;
mod door;
mod external;
mod host;
mod mail;
mod mariadb;
mod meilisearch;
mod memcached;
mod nats;
mod postgres;
mod program;
mod rabbitmq;
mod redis;
mod s3;

pub use external::External;
pub use host::Host;
pub use mail::{Mail, main as mail_main};
pub use mariadb::Mariadb;
pub use meilisearch::Meilisearch;
pub use memcached::Memcached;
pub use nats::Nats;
pub use postgres::Postgres;
pub use rabbitmq::Rabbitmq;
pub use redis::Redis;
pub use s3::S3;

use hop3_core::addon::{AddonStatus, Binding, WantedAddon};
use hop3_core::driver::Addon;
use hop3_core::name::{AddonKind, EnvKey};
use hop3_core::secret::Secret;
use hop3_core::{Kind, Problem};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

/// Every kind, in the order of `hop3 addon kinds`.
pub fn addons(host: &Arc<Host>) -> Vec<Arc<dyn Addon>> {
    vec![
        Arc::new(Postgres::new(host.clone())),
        Arc::new(Mariadb::new(host.clone())),
        Arc::new(Redis::new(host.clone())),
        Arc::new(Memcached::new(host.clone())),
        Arc::new(Nats::new(host.clone())),
        Arc::new(Rabbitmq::new(host.clone())),
        Arc::new(Meilisearch::new(host.clone())),
        Arc::new(Mail::new(host.clone(), program())),
        Arc::new(S3::new(host.clone())),
        Arc::new(External),
    ]
}

/// This program: what Hop3 itself serves runs as a process of its own.
fn program() -> std::path::PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "/usr/local/bin/hop3".into())
}

fn kind(word: &'static str) -> AddonKind {
    word.parse().expect("the drivers' own kinds are words")
}

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, sentence)| ((*name).to_owned(), (*sentence).to_owned())).collect()
}

/// An option that is `yes` or `no`.
fn yes_or_no(addon: &WantedAddon, option: &str, unset: bool) -> Result<bool, Problem> {
    match addon.settings.get(option).map(String::as_str) {
        None => Ok(unset),
        Some("yes") => Ok(true),
        Some("no") => Ok(false),
        Some(other) => {
            let title = format!("{option} is yes or no");
            Err(Problem::new(Kind::User, "addon.bad-option", title).detail(other.escape_debug().to_string()))
        }
    }
}

fn binding<const N: usize>(variables: [(&'static str, String); N], shell: &[&str]) -> Binding {
    let key = |key: &'static str| -> EnvKey { key.parse().expect("the drivers' own keys are keys") };
    Binding {
        variables: variables.into_iter().map(|(k, value)| (key(k), Secret::new(value))).collect(),
        shell: shell.iter().map(|word| (*word).to_owned()).collect(),
        slot: None,
    }
}

/// What a look at something that is managed elsewhere says.
fn seen(trouble: Option<Problem>) -> AddonStatus {
    match trouble {
        Some(problem) => down(format!("{}: {}", problem.title, problem.detail)),
        None => AddonStatus {
            is_up: true,
            version: None,
            size_bytes: None,
            connections: None,
            trouble: None,
            pool: None,
        },
    }
}

/// A server that is away.
fn down(trouble: String) -> AddonStatus {
    AddonStatus {
        is_up: false,
        version: None,
        size_bytes: None,
        connections: None,
        trouble: Some(trouble),
        pool: None,
    }
}

fn unreadable(error: std::io::Error) -> Problem {
    Problem::new(Kind::Unavailable, "addon.data-cut", "the data cannot be read").detail(error.to_string())
}

/// So many bytes of what is read back, or fewer when that is all.
fn beginning(from: &mut dyn Read, most: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    from.take(most as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.is_empty() { Err(nothing()) } else { Ok(bytes) }
}

/// Nothing is no backup: reading it back would empty an addon in silence.
fn nothing() -> Problem {
    Problem::new(Kind::User, "addon.not-a-backup", "there is nothing to read back")
        .hint("look at the file: it is empty")
}

/// Hop3 makes names and passwords of these characters alone.
fn plain(text: &str) -> Result<&str, Problem> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !text.is_empty() && text.chars().all(is_plain) {
        return Ok(text);
    }
    Err(Problem::new(Kind::Bug, "addon.bad-credential", "a credential has characters that Hop3 does not use"))
}

/// The text that hexadecimal digits stand for.
fn unhex(digits: &str) -> Option<String> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    String::from_utf8(digits.trim().as_bytes().chunks(2).map(byte).collect::<Option<_>>()?).ok()
}

/// What an option says, when it is a number.
fn number<'t>(option: &str, text: &'t str) -> Result<&'t str, Problem> {
    if text.parse::<u16>().is_ok() {
        return Ok(text);
    }
    Err(Problem::new(Kind::User, "addon.bad-option", format!("{option} is a number from 0 to 65535"))
        .detail(text.escape_debug().to_string()))
}
