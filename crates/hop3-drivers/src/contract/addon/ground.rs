// SPDX-License-Identifier: Apache-2.0
//! What the judge stands on: servers and addons made for the trial, and a client of the product.

use hop3_core::Problem;
use hop3_core::addon::{AddonServer, Binding, Credential, POOL_OPTION, Pooler, WantedAddon};
use hop3_core::driver::{Addon, Daemons};
use hop3_core::layout::Layout;
use hop3_core::secret::Secret;
use std::collections::BTreeMap;
use std::error::Error;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between the users of servers and those of their poolers.
const POOLERS: u32 = 50;

/// A client of the product, which comes in anew for everything it does, with nothing but what apps are told.
pub trait Client: Sync {
    /// Keeps a value under a key; returns when the server has acknowledged it.
    ///
    /// # Errors
    /// What the product's client said.
    fn write(&self, binding: &Binding, key: &str, value: &str) -> Result<(), String>;

    /// What is kept under a key.
    ///
    /// # Errors
    /// What the product's client said.
    fn read(&self, binding: &Binding, key: &str) -> Result<Option<String>, String>;

    /// What lets an app in: what Hop3 gave, or a key that the server made, which is both name and password.
    fn pass(&self, given: &Credential, _binding: &Binding) -> Credential {
        given.clone()
    }
}

/// A credential that is one word.
pub fn key(word: &str) -> Credential {
    Credential { user: word.to_owned(), password: Secret::new(word.to_owned()) }
}

/// Where a kind is judged.
pub struct Ground<'a> {
    pub driver: &'a dyn Addon,
    pub client: &'a dyn Client,
    pub daemons: &'a dyn Daemons,
    pub layout: &'a Layout,
    /// The first of some users that servers get; none where the supervisor cannot give any.
    pub first_user: Option<u32>,
    /// Servers are numbered from here on: below are those of somebody else.
    pub first_number: u32,
    /// Kills a process of a server, which is another user's.
    pub kill: &'a (dyn Fn(&AddonServer, u32) -> Result<(), String> + Sync),
    /// Options of every addon.
    pub settings: BTreeMap<String, String>,
}

/// Rules that were broken, or what ended the trial of one.
pub(super) type Verdict = Result<Vec<String>, Box<dyn Error>>;

pub(super) struct Judge<'a> {
    pub(super) ground: &'a Ground<'a>,
    version: String,
    servers: Mutex<Vec<AddonServer>>,
}

/// An addon that was made, and what its apps are told.
pub(super) struct Made {
    pub(super) wanted: WantedAddon,
    pub(super) binding: Binding,
}

impl<'a> Judge<'a> {
    pub(super) fn new(ground: &'a Ground<'a>, version: &str) -> Judge<'a> {
        Judge { ground, version: version.to_owned(), servers: Mutex::default() }
    }

    pub(super) fn driver(&self) -> &'a dyn Addon {
        self.ground.driver
    }

    /// Makes an addon, on the server that all share or on one of its own.
    pub(super) fn make(&self, name: &str) -> Result<Made, Box<dyn Error>> {
        let wanted = self.wanted(name)?;
        self.driver().serve(&wanted.server)?;
        let binding = self.driver().provision(&wanted)?;
        Ok(Made { wanted, binding })
    }

    pub(super) fn wanted(&self, name: &str) -> Result<WantedAddon, Box<dyn Error>> {
        let database = format!("{name}_1");
        Ok(WantedAddon {
            name: name.parse()?,
            server: self.server()?,
            credentials: vec![credential(&database, 1)],
            settings: self.ground.settings.clone(),
            database,
        })
    }

    fn server(&self) -> Result<AddonServer, Box<dyn Error>> {
        let facts = self.driver().facts();
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = servers.first().filter(|_| facts.capabilities.shares) {
            return Ok(shared.clone());
        }
        let number = u32::try_from(servers.len())? + 1;
        let server = AddonServer {
            name: format!("{}-{}", facts.kind, self.ground.first_number + number).parse()?,
            kind: facts.kind,
            version: self.version.clone(),
            user: self.ground.first_user.map(|first| first + number),
            port: if facts.capabilities.serves { free_port()? } else { 0 },
            password: Secret::new(format!("ofTheAdministrator{number}")),
            settings: BTreeMap::new(),
            pooler: self.pooler(number)?,
        };
        servers.push(server.clone());
        Ok(server)
    }

    /// Where options of the trial ask for one.
    fn pooler(&self, number: u32) -> std::io::Result<Option<Pooler>> {
        if !self.ground.settings.contains_key(POOL_OPTION) {
            return Ok(None);
        }
        let user = self.ground.first_user.map(|first| first + POOLERS + number);
        Ok(Some(Pooler { user, port: free_port()? }))
    }

    /// Ends what was begun.
    pub(super) fn end(&self) -> Vec<String> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = servers.iter().map(|server| self.driver().retire(server));
        ended.filter_map(Result::err).map(|problem| format!("a server is not retired: {problem}")).collect()
    }

    /// A value that is read must be this one.
    pub(super) fn holds(&self, binding: &Binding, key: &str, value: Option<&str>) -> Vec<String> {
        match self.ground.client.read(binding, key) {
            Ok(found) if found.as_deref() == value => Vec::new(),
            found => vec![format!("{key} should be {value:?} and is read as {found:?}")],
        }
    }

    /// Nobody comes in like that.
    pub(super) fn is_refused(&self, who: &str, binding: &Binding) -> Vec<String> {
        let read = self.ground.client.read(binding, "key").is_ok();
        let written = self.ground.client.write(binding, "key", "of a stranger").is_ok();
        let told = |done: bool, what: &str| done.then(|| format!("{who} can {what}"));
        told(read, "read").into_iter().chain(told(written, "write")).collect()
    }

    /// Whoever comes in like that neither sees nor changes what is kept there.
    pub(super) fn is_no_guest(&self, who: &str, binding: &Binding, of: &Binding, value: &str) -> Vec<String> {
        let reads =
            self.ground.client.read(binding, "key").is_ok_and(|found| found.as_deref() == Some(value));
        // Whether he is refused does not matter.
        let _ = self.ground.client.write(binding, "key", "of a stranger");
        let seen = reads.then(|| format!("{who} can read"));
        seen.into_iter().chain(self.holds(of, "key", Some(value))).collect()
    }

    /// Pid of the server's process.
    pub(super) fn pid(&self, server: &AddonServer) -> Result<Option<u32>, Problem> {
        let kept = self.ground.daemons.status(&server.name)?;
        Ok(kept.into_iter().find(|daemon| daemon.process == "server").and_then(|daemon| daemon.pid))
    }
}

pub(super) fn credential(database: &str, number: u32) -> Credential {
    let user = format!("{database}_{number}");
    Credential { password: Secret::new(format!("Of{user}X")), user }
}

/// What the same app would be told if it had another user and password.
pub(super) fn with(binding: &Binding, own: &Credential, other: &Credential) -> Binding {
    let replaced = |value: &str| {
        // The password first: the user's name is a part of it here.
        value.replace(own.password.expose(), other.password.expose()).replace(&own.user, &other.user)
    };
    let variables = binding.variables.iter();
    let variables = variables.map(|(key, value)| (key.clone(), Secret::new(replaced(value.expose()))));
    Binding { variables: variables.collect(), ..binding.clone() }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Looks again and again until it is so.
pub(super) fn until(what: &str, holds: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > deadline {
            return Err(format!("waited in vain: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
