// SPDX-License-Identifier: Apache-2.0
//! `Product`: what is particular to one proxy that others make: how its configuration is written and checked, how it
//! is started on sockets that are handed to it, and which signals it understands.

use super::haproxy::Haproxy;
use super::name::HostName;
use super::nginx::Nginx;
use super::plan::{Abilities, Plan};
use hop3_core::problem::{Kind, Problem};
use hop3_core::route::Address;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// File names with their contents.
pub(crate) type Files = Vec<(String, String)>;

/// What is known of a product before it is asked.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    /// Debian's.
    pub(crate) package: &'static str,
    /// Refuses bodies that are too large, whether or not they say how long they are.
    pub(crate) limits_bodies: bool,
    /// Has it read its configuration again; requests under way end as they began.
    pub(crate) reload: Signal,
    /// Has it accept no more and end after its last request.
    pub(crate) end: Signal,
}

pub(crate) trait Product: Debug + Send + Sync {
    fn facts(&self) -> &'static Facts;

    /// The same plan gives the same text. Files name each other relative to their folder.
    fn render(&self, plan: &Plan, place: &Place) -> Files;

    /// Arguments that have it judge the configuration in that folder.
    fn check(&self, folder: &Path, place: &Place) -> Vec<String>;

    fn start(&self, folder: &Path, place: &Place) -> Start;

    /// A file beside the configurations that depends on how many sockets there are.
    fn beside(&self, _sockets: usize) -> Option<(&'static str, String)> {
        None
    }

    fn name(&self) -> &'static str {
        self.facts().name
    }

    fn abilities(&self) -> Abilities {
        // Its workers have a user of their own when it is root's.
        let opens_sockets = !rustix::process::geteuid().is_root();
        Abilities { limits_bodies: self.facts().limits_bodies, opens_sockets }
    }
}

pub(crate) fn products() -> [&'static dyn Product; 2] {
    [&Nginx, &Haproxy]
}

pub(crate) fn product(name: &str) -> Option<&'static dyn Product> {
    products().into_iter().find(|product| product.name() == name)
}

/// Where a product works.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) certificates: PathBuf,
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    /// Where the built-in proxy listens.
    pub(crate) behind: Address,
    /// Hosts for which no certificate can be shown: nothing is served for them over TLS.
    pub(crate) uncertified: BTreeSet<HostName>,
    /// Who its workers are, when it is started by root.
    pub(crate) user: Option<&'static str>,
}

impl Place {
    /// Chain and key of a host, unless there are none: then it is left out, and holds no other up.
    pub(crate) fn certificate(&self, host: &HostName) -> Option<String> {
        let file = format!("{}.pem", host.as_str().replacen('*', "_", 1));
        let is_there = !host.is_address() && !self.uncertified.contains(host);
        is_there.then(|| self.certificates.join(file).display().to_string())
    }
}

/// How it is started.
pub(crate) struct Start {
    pub(crate) arguments: Vec<String>,
    pub(crate) handed: Vec<Handed>,
}

/// A variable that tells it the numbers of its sockets.
pub(crate) struct Handed {
    pub(crate) variable: &'static str,
    pub(crate) before: &'static str,
    pub(crate) between: &'static str,
    pub(crate) after: &'static str,
    pub(crate) of: fn(&super::launch::Numbers) -> Vec<i32>,
}

/// Finds its program.
///
/// # Errors
/// It is not installed: the problem names the package.
pub(crate) fn program(product: &dyn Product) -> Result<PathBuf, Problem> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    let found = folders.into_iter().chain(std::env::split_paths(&path)).find_map(|folder| {
        let file = folder.join(product.name());
        (folder.is_absolute() && file.is_file()).then_some(file)
    });
    found.ok_or_else(|| {
        Problem::new(
            Kind::Unavailable,
            "proxy.not-installed",
            format!("{} is not installed here", product.name()),
        )
        .hint(format!("install it with: apt-get install {}", product.facts().package))
    })
}

/// What it says of itself: `nginx/1.22.1`, `2.6.12-1+deb12u4`.
pub(crate) fn version(product: &dyn Product) -> Result<String, Problem> {
    let program = program(product)?;
    let said = Command::new(&program).arg("-v").env_clear().output();
    let said = said.map(|said| [said.stdout, said.stderr].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let word = said
        .split_whitespace()
        .find(|word| word.contains(|c: char| c.is_ascii_digit()) && word.contains('.'));
    Ok(word.unwrap_or("of an unknown version").trim_start_matches("nginx/").to_owned())
}

/// The user whom Debian's packages make for a product's workers, with its number.
pub(crate) fn worker_user() -> Option<(&'static str, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = |name: &str| {
        let mut fields =
            users.lines().map(|line| line.split(':')).find(|f| f.clone().next() == Some(name))?;
        fields.nth(2)?.parse().ok()
    };
    ["www-data", "nobody"].into_iter().find_map(|name| Some((name, number(name)?)))
}
