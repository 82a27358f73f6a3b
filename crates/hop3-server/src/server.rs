// SPDX-License-Identifier: Apache-2.0
//! `Server`: what every part of the control plane shares. Cheap to clone by `Arc`; holds no state of its own beyond
//! locks and the stream of events: the store is the truth.

use crate::disk;
use crate::store::{App, DeploymentId, Store};
use hop3_core::driver::Registry;
use hop3_core::event::{Event, EventRow};
use hop3_core::layout::Layout;
use hop3_core::name::{AppName, ServerName, VolumeName};
use hop3_core::problem::{Kind, Problem};
use hop3_core::tcp::Ports;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// How the outside reaches this server.
#[derive(Clone, Debug)]
pub struct Site {
    /// Apps answer at `<app>.<domain>`, the control plane at the domain itself.
    pub domain: String,
    pub http: SocketAddr,
    /// Addresses are told with `https` when there is one.
    pub https: Option<SocketAddr>,
    /// Ports that apps may have for what is not HTTP.
    pub tcp_ports: Ports,
}

impl Site {
    pub fn url_of(&self, host: &str) -> String {
        let (scheme, usual, address) = match self.https {
            Some(https) => ("https", 443, https),
            None => ("http", 80, self.http),
        };
        match address.port() {
            port if port == usual => format!("{scheme}://{host}"),
            port => format!("{scheme}://{host}:{port}"),
        }
    }

    pub fn host_of(&self, app: &AppName) -> String {
        format!("{app}.{}", self.domain)
    }

    pub fn app_url(&self, app: &AppName) -> String {
        self.url_of(&self.host_of(app))
    }

    pub fn git_url(&self, app: &AppName) -> String {
        format!("{}/git/{app}.git", self.url_of(&self.domain))
    }
}

pub struct Server {
    pub layout: Layout,
    pub store: Store,
    pub drivers: Registry,
    pub site: Site,
    /// The hop3 program itself, for hooks.
    pub program: PathBuf,
    /// Variables of the operator's environment that builds get: proxies, certificates, registry settings.
    pub build_environment: BTreeMap<String, String>,
    /// Ends the process; given by the role that runs the server.
    pub stop: Box<dyn Fn(StopScope) + Send + Sync>,
    events: broadcast::Sender<EventRow>,
    /// One change of an app at a time, by row id.
    locks: Mutex<HashMap<i64, Arc<Mutex<()>>>>,
    /// One change of where an app's requests go at a time; held for moments, beneath the lock of its changes.
    turns: Mutex<HashMap<i64, Arc<Mutex<()>>>>,
    /// One change of what lives on an addon's server at a time, by the server's name.
    addon_turns: Mutex<HashMap<ServerName, Arc<Mutex<()>>>>,
    /// One change of a volume at a time; beneath the lock of an app's changes.
    volume_turns: Mutex<HashMap<VolumeName, Arc<Mutex<()>>>>,
    /// Held while an addon moves to another server, until its apps know.
    pub(crate) moving_addon: Mutex<()>,
    /// Held while an addon's server is chosen, made or given up.
    pub(crate) choosing_addon_server: Mutex<()>,
    /// Held from the look at the store to the proxy's answer, so that no route is replaced by an older one.
    routing: Mutex<()>,
    /// One backup is made, or swept away, at a time.
    pub(crate) backing_up: Mutex<()>,
    /// Builds at the same time: more would starve what is running.
    pub build_slots: crate::deploy::Slots,
}

/// What `hop3 server stop` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopScope {
    Server,
    /// Proxy, supervisor and every instance too.
    All,
}

/// What the role gives to make a `Server`.
pub struct Parts {
    pub layout: Layout,
    pub store: Store,
    pub drivers: Registry,
    pub site: Site,
    pub program: PathBuf,
    pub build_environment: BTreeMap<String, String>,
    pub stop: Box<dyn Fn(StopScope) + Send + Sync>,
}

impl Server {
    pub fn new(parts: Parts) -> Server {
        let (events, _) = broadcast::channel(4096);
        Server {
            layout: parts.layout,
            store: parts.store,
            drivers: parts.drivers,
            site: parts.site,
            program: parts.program,
            build_environment: parts.build_environment,
            stop: parts.stop,
            events,
            locks: Mutex::default(),
            turns: Mutex::default(),
            addon_turns: Mutex::default(),
            volume_turns: Mutex::default(),
            moving_addon: Mutex::default(),
            choosing_addon_server: Mutex::default(),
            routing: Mutex::default(),
            backing_up: Mutex::default(),
            build_slots: crate::deploy::Slots::new(2),
        }
    }

    /// Stores an event and streams it to whoever listens. Losing an event must not lose a deployment: a store that
    /// cannot be written is the operator's problem and told in the log.
    pub fn record(&self, app: Option<&App>, deployment: Option<DeploymentId>, event: Event) {
        match self.store.record(app, deployment, event) {
            Ok(row) => {
                // Nobody listening is fine.
                let _ = self.events.send(row);
            }
            Err(error) => tracing::error!(%error, "event not stored"),
        }
    }

    pub fn subscribe(&self) -> broadcast::Receiver<EventRow> {
        self.events.subscribe()
    }

    /// Whoever makes routes from the store holds this until the proxy has them.
    pub(crate) fn routing(&self) -> MutexGuard<'_, ()> {
        self.routing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock that every change of an app holds.
    pub fn lock_of(&self, app: &App) -> Arc<Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(app.id).or_default())
    }

    /// The lock that whoever changes where an app's requests go holds: deployments at their switch, sleep and waking.
    pub(crate) fn turn_of(&self, app: &App) -> Arc<Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(app.id).or_default())
    }

    /// Does something on an addon's server while nobody else does.
    pub(crate) fn addon_turn<T>(
        &self,
        home: &ServerName,
        body: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let turn = {
            let mut turns = self.addon_turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(home.clone()).or_default())
        };
        let _held = turn.lock().unwrap_or_else(PoisonError::into_inner);
        body()
    }

    /// Does something to a volume while nobody else does.
    pub(crate) fn volume_turn<T>(
        &self,
        volume: &VolumeName,
        body: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let turn = {
            let mut turns = self.volume_turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(volume.clone()).or_default())
        };
        let _held = turn.lock().unwrap_or_else(PoisonError::into_inner);
        body()
    }

    /// Finds an app or says that there is none.
    pub fn app(&self, name: &AppName) -> Result<App, Problem> {
        self.store.app(name).map_err(internal)?.ok_or_else(|| {
            Problem::new(Kind::NotFound, "app.unknown", format!("there is no app \"{name}\""))
                .hint(format!("make it with: hop3 app create {name}\nsee all with: hop3 app list"))
        })
    }
}

/// Converts an inner error: the cause goes to the operator's log, the caller gets a bug report's words.
pub(crate) fn internal(error: impl Into<anyhow::Error>) -> Problem {
    let error = error.into();
    match error.downcast::<Problem>() {
        Ok(problem) => problem,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "internal error");
            if disk::is_full(error.as_ref()) {
                return disk::full();
            }
            Problem::new(Kind::Bug, "hop3.internal", "Hop3 failed inside")
                .hint("the server's log has the cause; please report it")
        }
    }
}
