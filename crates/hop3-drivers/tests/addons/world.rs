// SPDX-License-Identifier: Apache-2.0
//! A supervisor in a temporary root, and one kind of addon on it.

use hop3_core::addon::{AddonServer, Credential, Pooler, WantedAddon};
use hop3_core::driver::{Addon, Daemons, Runner};
use hop3_core::layout::Layout;
use hop3_core::secret::Secret;
use hop3_drivers::addons::{Host, addons};
use hop3_drivers::contract::addon::{Client as Visitor, Ground};
use hop3_drivers::runtimes::Kept;
use hop3_supervisor::{Client, Options};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, ExitCode};
use std::sync::Arc;

/// Below those that an installation gives.
const FIRST_USER: u32 = 59_000;

pub(crate) fn supervise(root: &str) -> ExitCode {
    let launcher = std::env::current_exe().unwrap();
    let allowed_uid = rustix::process::geteuid().as_raw();
    match hop3_supervisor::run(Options { layout: Layout::new(root), allowed_uid, launcher, wanted: None }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

pub(crate) struct World {
    pub(crate) driver: Arc<dyn Addon>,
    pub(crate) layout: Layout,
    pub(crate) client: Client,
    daemons: Arc<Kept>,
    supervisor: Child,
    _root: tempfile::TempDir,
}

impl World {
    pub(crate) fn start(kind: &str) -> World {
        let root = tempfile::tempdir().unwrap();
        // Servers have users of their own, who must come through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(root.path(), open).unwrap();
        let program = std::env::current_exe().unwrap();
        let supervisor =
            std::process::Command::new(program).arg("supervise").arg(root.path()).spawn().unwrap();
        let layout = Layout::new(root.path());
        let client = Client::new(layout.supervisor_socket());
        let daemons = Arc::new(Kept::new(client.clone()));
        let host = Arc::new(Host::new(&layout, Arc::new(client.clone()), daemons.clone()));
        let all = addons(&host);
        let driver = all.into_iter().find(|driver| driver.facts().kind.as_str() == kind).unwrap();
        World { driver, layout, client, daemons, supervisor, _root: root }
    }

    /// An addon on a server of its own.
    pub(crate) fn make(&self, database: &str) -> WantedAddon {
        let addon = self.bare(database);
        self.driver.serve(&addon.server).unwrap();
        self.driver.provision(&addon).unwrap();
        addon
    }

    /// The same before anything of it is there.
    pub(crate) fn bare(&self, database: &str) -> WantedAddon {
        let facts = self.driver.facts();
        let server = AddonServer {
            name: format!("{}-100", facts.kind).parse().unwrap(),
            version: facts.versions[0].clone(),
            kind: facts.kind,
            user: self.client.is_privileged().then_some(FIRST_USER + 100),
            port: free_port(),
            password: Secret::new("ofTheAdministrator".to_owned()),
            settings: BTreeMap::new(),
            pooler: Some(Pooler {
                user: self.client.is_privileged().then_some(FIRST_USER + 200),
                port: free_port(),
            }),
        };
        let credential =
            Credential { user: format!("{database}_1"), password: Secret::new("ofTheUser".to_owned()) };
        WantedAddon {
            name: "of-the-test".parse().unwrap(),
            database: database.to_owned(),
            server,
            credentials: vec![credential],
            settings: BTreeMap::new(),
        }
    }

    /// Stops the server of an addon, as if the machine had been.
    pub(crate) fn stop(&self, server: &AddonServer) {
        self.daemons.stop(&server.name, None).unwrap();
    }

    pub(crate) fn pid(&self, server: &AddonServer) -> Option<u32> {
        self.pid_of(server, "server")
    }

    /// The server's process stands still, as for a Hop3 that died meanwhile.
    pub(crate) fn freeze(&self, server: &AddonServer) {
        self.daemons.freeze(&server.name, "server").unwrap();
    }

    pub(crate) fn pid_of(&self, server: &AddonServer, process: &str) -> Option<u32> {
        let kept = self.daemons.status(&server.name).unwrap();
        kept.into_iter().find(|daemon| daemon.process == process).and_then(|daemon| daemon.pid)
    }

    pub(crate) fn ground<'a>(&'a self, client: &'a dyn Visitor, options: &[(&str, &str)]) -> Ground<'a> {
        let settings = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ground {
            driver: self.driver.as_ref(),
            client,
            daemons: self.daemons.as_ref(),
            layout: &self.layout,
            first_user: self.client.is_privileged().then_some(FIRST_USER),
            first_number: 0,
            kill: &|_, pid| kill(pid),
            settings: settings.collect(),
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn kill(pid: u32) -> Result<(), String> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("not a pid")?;
    kill_process(pid, Signal::KILL).map_err(|error| error.to_string())
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.client.shutdown();
        let _ = self.supervisor.wait();
    }
}
