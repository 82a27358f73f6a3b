// SPDX-License-Identifier: Apache-2.0
//! Addons: one file or folder for each kind. `host` is what they all need of this machine.
//!
//! A kind's server runs in a sandbox of its own: its own user, its own directory, nothing else beneath the root. What
//! a driver does on it, it does with the product's own client, run as that user in that sandbox; passwords go to
//! clients on their standard input or in their environment, never as arguments.

mod host;
mod postgres;

pub use host::Host;
pub use postgres::Postgres;

use hop3_core::addon::Binding;
use hop3_core::driver::Addon;
use hop3_core::name::{AddonKind, EnvKey};
use hop3_core::secret::Secret;
use hop3_core::{Kind, Problem};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every kind, in the order of `hop3 addon kinds`.
pub fn addons(host: &Arc<Host>) -> Vec<Arc<dyn Addon>> {
    vec![Arc::new(Postgres::new(host.clone()))]
}

fn kind(word: &'static str) -> AddonKind {
    word.parse().expect("the drivers' own kinds are words")
}

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, sentence)| ((*name).to_owned(), (*sentence).to_owned())).collect()
}

fn binding<const N: usize>(variables: [(&'static str, String); N], shell: &[&str]) -> Binding {
    let key = |key: &'static str| -> EnvKey { key.parse().expect("the drivers' own keys are keys") };
    Binding {
        variables: variables.into_iter().map(|(k, value)| (key(k), Secret::new(value))).collect(),
        shell: shell.iter().map(|word| (*word).to_owned()).collect(),
    }
}

fn unreadable(error: std::io::Error) -> Problem {
    Problem::new(Kind::Unavailable, "addon.data-cut", "the data cannot be read").detail(error.to_string())
}

/// Nothing is no backup: reading it back would empty an addon in silence.
fn nothing() -> Problem {
    Problem::new(Kind::User, "addon.not-a-backup", "there is nothing to read back")
        .hint("look at the file: it is empty")
}
