// SPDX-License-Identifier: Apache-2.0
//! `Product`: what is particular to one proxy that others make: how its configuration is written and checked, how it
//! is started on sockets that are handed to it, and which signals it understands.

use super::caddy::Caddy;
use super::haproxy::Haproxy;
use super::launch::Numbers;
use super::name::HostName;
use super::nginx::Nginx;
use super::plan::{Abilities, Plan};
use super::process::{Main, wait};
use super::traefik::Traefik;
use hop3_core::problem::{Kind, Problem};
use hop3_core::route::Address;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

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

    /// Has it judge the configuration in that folder, by a command that has those arguments.
    fn judge(&self, mut command: Command, _folder: &Path) -> io::Result<Judged> {
        let output = command.output()?;
        Ok(Judged { is_good: output.status.success(), said: [output.stdout, output.stderr].concat() })
    }

    fn start(&self, folder: &Path, place: &Place) -> Start;

    /// What more it is told where its sockets are known, by the process that becomes it.
    fn dress(&self, _numbers: &Numbers, _folder: &Path, _place: &Place) -> io::Result<Dress> {
        Ok(Dress::default())
    }

    /// A file beside the configurations that depends on how many sockets there are.
    fn beside(&self, _sockets: usize) -> Option<(&'static str, String)> {
        None
    }

    fn name(&self) -> &'static str {
        self.facts().name
    }

    /// It has no workers: its one process accepts, and goes over to another configuration without closing anything.
    fn is_alone(&self) -> bool {
        false
    }

    /// It answers by the configuration in that folder.
    fn is_up(&self, main: Main, _folder: &Path) -> bool {
        !main.split_workers().0.is_empty()
    }

    /// It was told to end, and accepts nobody any more.
    fn has_closed(&self, main: Main) -> bool {
        !main.any_accepts()
    }

    /// Has it go over to what that folder holds now; true when nothing is answered by what was before, but what was
    /// under way.
    fn take(&self, main: Main, _folder: &Path, patience: Duration) -> bool {
        let (former, _) = main.split_workers();
        main.signal(self.facts().reload);
        wait(patience, || !main.lives() || main.has_others(&former)) && main.lives()
    }

    /// The argument that has it tell its version.
    fn version_word(&self) -> &'static str {
        "-v"
    }

    /// The first version that does what is asked of it, by its first two numbers.
    fn oldest(&self) -> Option<(u32, u32)> {
        None
    }

    fn where_to_get(&self) -> String {
        format!("install it with: apt-get install {}", self.facts().package)
    }

    fn abilities(&self) -> Abilities {
        // Its workers have a user of their own when it is root's.
        let opens_sockets = !rustix::process::geteuid().is_root();
        Abilities { limits_bodies: self.facts().limits_bodies, opens_sockets, routes: true }
    }
}

pub(crate) fn products() -> [&'static dyn Product; 4] {
    [&Nginx, &Haproxy, &Traefik, &Caddy]
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

/// Arguments and variables beside those of `Start`.
#[derive(Default)]
pub(crate) struct Dress {
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    /// Where it works, if not where the role does.
    pub(crate) folder: Option<PathBuf>,
}

/// What it thinks of a configuration.
pub(crate) struct Judged {
    pub(crate) is_good: bool,
    pub(crate) said: Vec<u8>,
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
        .hint(product.where_to_get())
    })
}

/// What it says of itself: `nginx/1.22.1`, `2.6.12-1+deb12u4`, `v2.11.7`.
pub(crate) fn version(product: &dyn Product) -> Result<String, Problem> {
    let program = program(product)?;
    let said = Command::new(&program).arg(product.version_word()).env_clear().output();
    let said = said.map(|said| [said.stdout, said.stderr].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let word = said
        .split_whitespace()
        .find(|word| word.contains(|c: char| c.is_ascii_digit()) && word.contains('.'));
    Ok(word
        .unwrap_or("of an unknown version")
        .trim_start_matches("nginx/")
        .trim_start_matches('v')
        .to_owned())
}

/// # Errors
/// It is not installed, or an older one than is needed here.
pub(crate) fn expect_new_enough(product: &dyn Product) -> Result<(), Problem> {
    let version = version(product)?;
    let Some((major, minor)) = product.oldest().filter(|oldest| !is_since(&version, *oldest)) else {
        return Ok(());
    };
    let title = format!("{} {version} is too old: it must be {major}.{minor} or newer", product.name());
    Err(Problem::new(Kind::Unavailable, "proxy.too-old", title).hint(product.where_to_get()))
}

/// `3.10.1` is since 3.9. What has no numbers is not.
pub(crate) fn is_since(version: &str, oldest: (u32, u32)) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= oldest)
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
