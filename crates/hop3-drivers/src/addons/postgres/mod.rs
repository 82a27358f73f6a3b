// SPDX-License-Identifier: Apache-2.0
//! `postgres`: PostgreSQL. Many addons share one server, each a database of its own that nobody else may connect to.
//!
//! The database belongs to a role nobody logs in as; every credential is a member that acts as that role, so that
//! what one credential made the next one owns, and a password can be changed while both are valid. The server's own
//! administrator comes in over a socket in the server's directory and has no password.

mod count;
mod dump;
mod history;
mod install;
mod pooler;
mod script;
mod table;

use super::Host;
use hop3_core::Problem;
use hop3_core::addon::{
    AddonServer, AddonStatus, Binding, KindCapabilities, KindFacts, POOL_OPTION, WantedAddon,
};
use hop3_core::driver::{Addon, Counts, Stop, Tables};
use hop3_core::sandbox::Job;
use install::Install;
use pooler::Pool;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The operating system's name of the administrator, and PostgreSQL's.
const ADMIN: &str = "postgres";

/// SIGINT: ends what is under way and stops; on SIGTERM it waits until everybody has left.
const STOP: Stop = Stop { signal: Some(2), grace_secs: 60 };

/// Connections a server takes unless set.
const CONNECTIONS: &str = "100";

/// How dumps of the custom format begin.
const DUMP_MARK: &[u8] = b"PGDMP";

/// How psql is asked by a program: it prints rows alone, their fields separated by `|`, and ends at the first error.
const PLAIN: [&str; 8] = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse"];

pub struct Postgres {
    host: Arc<Host>,
    /// Held while a copy of a server is brought to a past moment.
    rewinding: Mutex<()>,
}

impl Postgres {
    pub fn new(host: Arc<Host>) -> Postgres {
        Postgres { host, rewinding: Mutex::default() }
    }

    fn install(&self, version: &str) -> Result<Install, Problem> {
        Install::of(&self.host.toolchains(), version)
    }

    /// A command as the server's administrator.
    fn job(&self, server: &AddonServer, argv: &[&str]) -> Result<Job, Problem> {
        let mut job = self.host.job(server, ADMIN, argv.iter().copied());
        self.install(&server.version)?.show(&mut job);
        Ok(job)
    }

    /// Runs one in the server's directory.
    fn run(&self, server: &AddonServer, argv: &[&str]) -> Result<String, Problem> {
        self.host.ask(&self.job(server, argv)?, "")
    }

    /// A program of the server's version that comes in as the server's administrator.
    fn client(&self, server: &AddonServer, program: &str, arguments: &[&str]) -> Result<Job, Problem> {
        let program = self.install(&server.version)?.program(program);
        let argv: Vec<&str> = [program.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        let mut job = self.job(server, &argv)?;
        let socket = self.host.directory(server).join("run");
        let own = [
            ("PGHOST", socket.to_string_lossy().into_owned()),
            ("PGPORT", server.port.to_string()),
            ("PGUSER", ADMIN.to_owned()),
            ("PGCONNECT_TIMEOUT", "10".to_owned()),
            // A database belongs to its app, which may say where names in it are looked up first; not for him.
            ("PGOPTIONS", "-c search_path=pg_catalog".to_owned()),
        ];
        job.env.extend(own.map(|(key, value)| (key.to_owned(), value)));
        Ok(job)
    }

    /// Runs statements, each in a transaction of its own; gives the rows, fields separated by `|`.
    fn psql(&self, server: &AddonServer, database: &str, script: &str) -> Result<String, Problem> {
        let arguments = [&PLAIN[..], &["-d", database]].concat();
        self.host.ask(&self.client(server, "psql", &arguments)?, script)
    }

    fn set_up(&self, server: &AddonServer, install: &Install) -> Result<(), Problem> {
        let directory = self.host.directory(server);
        // Its last step gives the directory this name: what has it is whole.
        if directory.join("data").exists() {
            return Ok(());
        }
        self.host.make_directory(server)?;
        let run = |argv: &[&str]| self.run(server, argv);
        // Nobody but the server's user comes to the socket. Without users of their own its name is not the administrator's.
        let local = if server.user.is_some() { "peer" } else { "trust" };
        run(&["rm", "-rf", "initial"])?;
        run(&["mkdir", "-p", "-m", "0700", "run"])?;
        run(&[
            &install.program("initdb"),
            "--pgdata=initial",
            "--username=postgres",
            &format!("--auth-local={local}"),
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--no-instructions",
        ])?;
        run(&["mv", "-T", "initial", "data"]).map(drop)
    }

    fn server_job(&self, server: &AddonServer, install: &Install) -> Result<Job, Problem> {
        let directory = self.host.directory(server);
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        let connections = server.settings.get("connections").map_or(CONNECTIONS, String::as_str);
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", server.port),
            format!("unix_socket_directories={}", shown(&directory.join("run"))),
            format!("max_connections={connections}"),
            "password_encryption=scram-sha-256".to_owned(),
            "log_timezone=UTC".to_owned(),
            "log_line_prefix=".to_owned(),
        ];
        let program = install.program("postgres");
        let mut argv = vec![program, "-D".to_owned(), shown(&directory.join("data"))];
        let settings = settings.into_iter().chain(Postgres::history_settings());
        argv.extend(settings.flat_map(|setting| ["-c".to_owned(), setting]));
        self.job(server, &argv.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn answers(&self, server: &AddonServer) -> bool {
        let ready = || self.host.ask(&self.client(server, "pg_isready", &["-q"])?, "");
        Host::listens(server) && ready().is_ok()
    }
}

impl Addon for Postgres {
    fn facts(&self) -> KindFacts {
        KindFacts {
            kind: super::kind("postgres"),
            title: "PostgreSQL".to_owned(),
            slot: "database".to_owned(),
            versions: Install::versions(&self.host.toolchains()),
            install: "apt-get install postgresql".to_owned(),
            capabilities: KindCapabilities {
                shares: true,
                serves: true,
                backs_up: true,
                rotates: true,
                remembers: true,
                pools: true,
                ..KindCapabilities::default()
            },
            options: super::options(&[
                ("extensions", "names, separated by commas, made in the database: pg_trgm,hstore"),
                ("connections", "so many at the same time; 20 on a shared server"),
                (
                    POOL_OPTION,
                    "transaction or session: how long a client has a connection of those that many share",
                ),
                (pooler::SIZE_OPTION, "so many they share; half of connections unless set"),
                (history::OPTION, "days from which any moment can be restored"),
            ]),
            server_options: vec![history::OPTION.to_owned()],
        }
    }

    fn serve(&self, server: &AddonServer) -> Result<(), Problem> {
        let install = self.install(&server.version)?;
        self.set_up(server, &install)?;
        self.host.keep(server, self.server_job(server, &install)?, STOP, &|| self.answers(server))?;
        self.keep_pooler(server)?;
        self.keep_history(server, &install)
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        let pool = Pool::of(addon)?;
        self.psql(&addon.server, ADMIN, &script::provision(addon)?)?;
        // Whoever is new can come in there too before he is told, and whoever may not is kept out before he is ended.
        self.pool(addon, pool.as_ref())?;
        self.psql(&addon.server, &addon.database, &script::inside(addon)?)?;
        Ok(binding(addon, pool.as_ref()))
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        let answer = match self.psql(&addon.server, ADMIN, &script::status(addon)) {
            Ok(answer) => answer,
            Err(problem) => return Ok(super::down(format!("{} {}", problem.title, problem.detail))),
        };
        let mut fields = answer.trim().split('|');
        let mut next = || fields.next().map(str::to_owned);
        let version = next();
        let size_bytes = next().and_then(|field| field.parse().ok());
        if size_bytes.is_none() {
            return Ok(super::down(format!("there is no database {}", addon.database)));
        }
        let connections = next().and_then(|field| field.parse().ok());
        let pool = match Pool::of(addon)?.map(|pool| self.pool_status(addon, &pool)).transpose() {
            Ok(pool) => pool,
            Err(problem) => {
                return Ok(super::down(format!(
                    "the pooler does not answer: {} {}",
                    problem.title, problem.detail
                )));
            }
        };
        Ok(AddonStatus { is_up: true, version, size_bytes, connections, trouble: None, pool })
    }

    fn backup(&self, addon: &WantedAddon, as_of_ms: Option<u64>, to: &mut dyn Write) -> Result<(), Problem> {
        match as_of_ms {
            Some(moment) => self.backup_of(addon, moment, to),
            None => self.dump(addon, None, to),
        }
    }

    fn restore(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        let mark = super::beginning(from, DUMP_MARK.len())?;
        let mut whole = mark.as_slice().chain(from);
        let fresh = format!("{}_restored", addon.database);
        let admin = |script: &str| self.psql(&addon.server, ADMIN, script);
        admin(&script::fresh(addon, &fresh))?;
        let filled = self.psql(&addon.server, &fresh, &script::extensions(addon)?).and_then(|_| {
            let job = if mark == DUMP_MARK {
                self.reader_of_dump(addon, &fresh)
            } else {
                self.reader_of_sql(addon, &fresh)
            };
            self.host.feed(&job?, &mut whole)
        });
        match filled {
            Ok(_) => admin(&script::swap(addon, &fresh)).map(drop),
            Err(problem) => {
                admin(&script::drop_database(&fresh))?;
                Err(problem)
            }
        }
    }

    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem> {
        self.unpool(addon)?;
        self.psql(&addon.server, ADMIN, &script::drop_database(&addon.database))?;
        self.psql(&addon.server, ADMIN, &script::drop_roles(addon)).map(drop)
    }

    fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.retire(server)
    }

    fn counts(&self) -> Option<&dyn Counts> {
        Some(self)
    }

    fn tables(&self) -> Option<&dyn Tables> {
        Some(self)
    }
}

fn binding(addon: &WantedAddon, pool: Option<&Pool>) -> Binding {
    let credential = addon.credential();
    let (user, password) = (&credential.user, credential.password.expose());
    let (port, database) = (pool.map_or(addon.server.port, |pool| pool.port), &addon.database);
    let url = |port: u16| format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}");
    let direct = format!("--port={}", addon.server.port);
    let mut binding = super::binding(
        [
            ("DATABASE_URL", url(port)),
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", port.to_string()),
            ("PGUSER", user.clone()),
            ("PGPASSWORD", password.clone()),
            ("PGDATABASE", database.clone()),
        ],
        &["psql", &direct],
    );
    if pool.is_some() {
        let direct = super::binding([("DATABASE_DIRECT_URL", url(addon.server.port))], &[]);
        binding.variables.extend(direct.variables);
    }
    binding
}
