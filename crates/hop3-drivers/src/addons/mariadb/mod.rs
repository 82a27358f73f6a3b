// SPDX-License-Identifier: Apache-2.0
//! `mysql`: MariaDB. Many addons share one server, each a database of its own with users who have rights on it alone.
//!
//! A user who may no longer come in is locked, not dropped: views, triggers and routines act in the name of whoever
//! made them. The server's own administrator comes in over a socket in the server's directory and has no password.
//! What a transaction of InnoDB acknowledged is on disk.

mod count;
mod dump;
mod restore;
mod script;

use super::Host;
use hop3_core::Problem;
use hop3_core::addon::{AddonServer, AddonStatus, Binding, KindCapabilities, KindFacts, WantedAddon};
use hop3_core::driver::{Addon, Counts};
use hop3_core::sandbox::Job;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

/// The operating system's name of the administrator, and MariaDB's, where servers have users of their own.
const ADMIN: &str = "mysql";

/// Debian has one version at a time, and carries what is on disk to the next one.
const SERVER: &str = "/usr/sbin/mariadbd";
const VERSION: &str = "installed";

/// Connections a server takes unless set.
const CONNECTIONS: &str = "150";

pub struct Mariadb {
    host: Arc<Host>,
}

impl Mariadb {
    pub fn new(host: Arc<Host>) -> Mariadb {
        Mariadb { host }
    }

    /// Without users of their own, servers run as whoever the supervisor is, and know him by that name.
    fn admin(&self, server: &AddonServer) -> Result<String, Problem> {
        if server.user.is_some() {
            return Ok(ADMIN.to_owned());
        }
        Ok(self.host.ask(&self.host.job(server, ADMIN, ["id", "-un"]), "")?.trim().to_owned())
    }

    /// A client as the server's administrator.
    fn client(&self, server: &AddonServer, program: &str, arguments: &[&str]) -> Result<Job, Problem> {
        let socket = self.host.directory(server).join("run/socket");
        let own = [
            program.to_owned(),
            "--no-defaults".to_owned(),
            format!("--user={}", self.admin(server)?),
            format!("--socket={}", socket.display()),
        ];
        let argv = own.into_iter().chain(arguments.iter().map(|argument| (*argument).to_owned()));
        Ok(self.host.job(server, ADMIN, argv))
    }

    /// Runs statements; gives the rows, fields separated by tabs.
    fn ask(&self, server: &AddonServer, script: &str) -> Result<String, Problem> {
        let arguments =
            ["--batch", "--skip-column-names", "--binary-mode", "--default-character-set=utf8mb4"];
        self.host.ask(&self.client(server, "mariadb", &arguments)?, script)
    }

    fn set_up(&self, server: &AddonServer) -> Result<(), Problem> {
        let directory = self.host.directory(server);
        // Its last step gives the directory this name: what has it is whole.
        if directory.join("data").exists() {
            return Ok(());
        }
        self.host.make_directory(server)?;
        let run = |argv: &[&str]| self.host.ask(&self.host.job(server, ADMIN, argv.iter().copied()), "");
        run(&["rm", "-rf", "initial"])?;
        run(&["mkdir", "-p", "-m", "0700", "run"])?;
        run(&["mkdir", "-m", "0700", "initial"])?;
        run(&[
            "mariadb-install-db",
            "--no-defaults",
            &format!("--datadir={}", directory.join("initial").display()),
            "--auth-root-authentication-method=socket",
            &format!("--auth-root-socket-user={}", self.admin(server)?),
            "--skip-test-db",
            "--skip-name-resolve",
            LOG_SIZE,
        ])?;
        run(&["mv", "-T", "initial", "data"]).map(drop)
    }

    fn server_job(&self, server: &AddonServer) -> Job {
        let directory = self.host.directory(server);
        let shown = |path: &str| directory.join(path).display().to_string();
        let connections = server.settings.get("connections").map_or(CONNECTIONS, String::as_str);
        let argv = [
            SERVER.to_owned(),
            "--no-defaults".to_owned(),
            format!("--datadir={}", shown("data")),
            format!("--socket={}", shown("run/socket")),
            format!("--pid-file={}", shown("run/pid")),
            format!("--port={}", server.port),
            format!("--max-connections={connections}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--skip-name-resolve".to_owned(),
            "--local-infile=0".to_owned(),
            "--innodb-flush-log-at-trx-commit=1".to_owned(),
            "--character-set-server=utf8mb4".to_owned(),
            "--collation-server=utf8mb4_unicode_ci".to_owned(),
            LOG_SIZE.to_owned(),
        ];
        self.host.job(server, ADMIN, argv)
    }

    fn answers(&self, server: &AddonServer) -> bool {
        Host::listens(server) && self.ask(server, "SELECT 1;").is_ok()
    }
}

/// Of the redo log, which is there before the first row.
const LOG_SIZE: &str = "--innodb-log-file-size=32M";

impl Addon for Mariadb {
    fn facts(&self) -> KindFacts {
        let versions = Path::new(SERVER).exists().then(|| VERSION.to_owned());
        KindFacts {
            kind: super::kind("mysql"),
            title: "MariaDB".to_owned(),
            slot: "database".to_owned(),
            versions: versions.into_iter().collect(),
            install: "apt-get install mariadb-server-core mariadb-client".to_owned(),
            capabilities: KindCapabilities {
                shares: true,
                serves: true,
                backs_up: true,
                rotates: true,
                ..KindCapabilities::default()
            },
            options: super::options(&[("connections", "so many at the same time; 20 on a shared server")]),
            server_options: Vec::new(),
        }
    }

    fn serve(&self, server: &AddonServer) -> Result<(), Problem> {
        self.set_up(server)?;
        self.host.keep(server, self.server_job(server), 60, &|| self.answers(server))?;
        // Says at once that there is nothing to do, but after an upgrade of the package.
        self.host.ask(&self.client(server, "mariadb-upgrade", &["--silent"])?, "").map(drop)
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        self.ask(&addon.server, &script::provision(addon)?)?;
        let users = self.ask(&addon.server, &script::users(addon))?;
        let is_valid = |user: &str| addon.credentials.iter().any(|credential| credential.user == user);
        let former: Vec<&str> = users.lines().filter(|user| !is_valid(user)).collect();
        self.ask(&addon.server, &script::lock(&former)?)?;
        Ok(binding(addon))
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        let answer = match self.ask(&addon.server, &script::status(addon)) {
            Ok(answer) => answer,
            Err(problem) => return Ok(super::down(format!("{} {}", problem.title, problem.detail))),
        };
        let mut fields = answer.trim().split('\t');
        let mut number = || fields.next().and_then(|field| field.parse().ok());
        if number() != Some(1_u64) {
            return Ok(super::down(format!("there is no database {}", addon.database)));
        }
        let (size_bytes, connections) = (number(), number());
        let version = fields.next().map(|version| version.split('-').next().unwrap_or(version).to_owned());
        Ok(AddonStatus { is_up: true, version, size_bytes, connections, trouble: None, pool: None })
    }

    fn backup(&self, addon: &WantedAddon, _as_of_ms: Option<u64>, to: &mut dyn Write) -> Result<(), Problem> {
        let arguments = [
            "--single-transaction",
            "--quick",
            "--routines",
            "--events",
            "--triggers",
            "--hex-blob",
            // Twice the same is twice the same bytes.
            "--skip-dump-date",
            "--default-character-set=utf8mb4",
            &addon.database,
        ];
        self.host.drain(&self.client(&addon.server, "mariadb-dump", &arguments)?, to)
    }

    fn restore(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        self.replace(addon, from)
    }

    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem> {
        let users = self.ask(&addon.server, &script::users(addon))?;
        let users: Vec<&str> = users.lines().collect();
        self.ask(&addon.server, &script::destroy(addon, &users)?).map(drop)
    }

    fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.retire(server)
    }

    fn counts(&self) -> Option<&dyn Counts> {
        Some(self)
    }
}

fn binding(addon: &WantedAddon) -> Binding {
    let credential = addon.credential();
    let (user, password) = (&credential.user, credential.password.expose());
    let (port, database) = (addon.server.port, &addon.database);
    let url = format!("mysql://{user}:{password}@127.0.0.1:{port}/{database}");
    let arguments = ["--host=127.0.0.1".to_owned(), format!("--port={port}"), format!("--user={user}")];
    let shell: Vec<&str> =
        ["mariadb", "--no-defaults"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    super::binding(
        [
            ("DATABASE_URL", url.clone()),
            ("MYSQL_URL", url),
            ("MYSQL_HOST", "127.0.0.1".to_owned()),
            ("MYSQL_PORT", port.to_string()),
            ("MYSQL_USER", user.clone()),
            ("MYSQL_PASSWORD", password.clone()),
            // Where MariaDB's own clients look for it.
            ("MYSQL_PWD", password.clone()),
            ("MYSQL_DATABASE", database.clone()),
        ],
        &[shell.as_slice(), &[database]].concat(),
    )
}
