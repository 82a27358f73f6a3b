// SPDX-License-Identifier: Apache-2.0
//! PgBouncer before a server: many clients share a few of its connections, for the addons that ask for it.
//!
//! A process of the server's with a user and a directory of its own: it sees neither the data nor the administrator's
//! socket. Beneath `pooler/addons` lies what each addon wants; the files that PgBouncer reads are made of that. Their
//! passwords are those of addons that asked, and only its own user can read them.

use super::super::program::Product;
use super::super::{number, plain};
use super::{Postgres, script};
use hop3_core::addon::{AddonServer, POOL_ENDING, POOL_OPTION, PoolStatus, Pooler, WantedAddon};
use hop3_core::sandbox::{Job, Mount};
use hop3_core::{Kind, Problem};
use std::collections::HashMap;
use std::path::PathBuf;

/// How many connections to the server an addon's clients share.
pub(super) const SIZE_OPTION: &str = "pool_size";

const PROGRAM: Product = Product {
    title: "PgBouncer",
    program: "pgbouncer",
    places: &["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin"],
    install: "apt-get install pgbouncer, and turn its service off: systemctl disable --now pgbouncer",
};

/// The process beside the server's.
pub(super) const PROCESS: &str = "pooler";

/// The operating system's name of its user; whoever comes in by its socket as that user may administer it.
const USER: &str = "pgbouncer";

/// Between SIGTERM and SIGKILL.
const GRACE_SECS: u32 = 5;

/// What `DISCARD ALL` does, in words that may stand in one request, and the role that the login begins with.
const AFTER_SESSION: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; \
     SELECT pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES; RESET ROLE";

/// What an addon asks of its pooler.
pub(super) struct Pool {
    pub(super) mode: &'static str,
    size: u16,
    pub(super) port: u16,
}

impl Pool {
    pub(super) fn of(addon: &WantedAddon) -> Result<Option<Pool>, Problem> {
        let mode = match addon.settings.get(POOL_OPTION).map(String::as_str) {
            None | Some(POOL_ENDING) => return Ok(None),
            Some("transaction") => "transaction",
            Some("session") => "session",
            Some(other) => {
                let title = format!("{POOL_OPTION} is transaction or session");
                return Err(Problem::new(Kind::User, "addon.bad-option", title)
                    .detail(other.escape_debug().to_string()));
            }
        };
        let connections = script::connections(addon)?;
        let size = match addon.settings.get(SIZE_OPTION) {
            None => (connections / 2).max(1),
            Some(text) => number(SIZE_OPTION, text)?.parse().unwrap_or(0),
        };
        if size == 0 || size > connections {
            let title = format!("{SIZE_OPTION} is 1 to {connections}, which is what the addon may have");
            return Err(Problem::new(Kind::User, "addon.bad-option", title)
                .hint("hop3 addon scale NAME connections=N gives it more"));
        }
        Ok(Some(Pool { mode, size, port: pooler(&addon.server)?.port }))
    }
}

fn pooler(server: &AddonServer) -> Result<Pooler, Problem> {
    server.pooler.ok_or_else(|| {
        Problem::new(Kind::Bug, "addon.no-pooler", format!("{} was given no pooler", server.name))
    })
}

impl Postgres {
    fn pooler_place(&self, server: &AddonServer) -> PathBuf {
        self.host.directory(server).join("pooler")
    }

    /// A command as the pooler's user, who sees its directory alone.
    fn pooler_job(&self, server: &AddonServer, argv: &[&str]) -> Result<Job, Problem> {
        let place = self.pooler_place(server);
        let mut job = self.host.job(server, USER, argv.iter().copied());
        job.env.insert("HOME".into(), place.to_string_lossy().into_owned());
        job.cwd.clone_from(&place);
        job.sandbox.user = pooler(server)?.user;
        job.sandbox.home.clone_from(&place);
        job.sandbox.mounts = vec![Mount { source: place.clone(), target: place, writable: true }];
        Ok(job)
    }

    fn pooler_run(&self, server: &AddonServer, argv: &[&str]) -> Result<String, Problem> {
        self.host.ask(&self.pooler_job(server, argv)?, "")
    }

    /// Asks the pooler itself.
    fn console(&self, server: &AddonServer, command: &str) -> Result<String, Problem> {
        let install = self.install(&server.version)?;
        let psql = install.program("psql");
        let mut job =
            self.pooler_job(server, &[&psql, "-X", "-q", "-A", "-d", "pgbouncer", "-c", command])?;
        install.show(&mut job);
        let own = [
            ("PGHOST", self.pooler_place(server).to_string_lossy().into_owned()),
            ("PGPORT", pooler(server)?.port.to_string()),
            ("PGUSER", USER.to_owned()),
            ("PGCONNECT_TIMEOUT", "10".to_owned()),
        ];
        job.env.extend(own.map(|(key, value)| (key.to_owned(), value)));
        self.host.ask(&job, "")
    }

    /// Makes the pooler what the addon wants of it. One that is leaving it is carried until its apps know.
    pub(super) fn pool(&self, addon: &WantedAddon, pool: Option<&Pool>) -> Result<(), Problem> {
        let (server, place) = (&addon.server, self.pooler_place(&addon.server));
        let database = plain(&addon.database)?;
        if let Some(pool) = pool {
            PROGRAM.find()?;
            self.host.make_place(&place, pooler(server)?.user)?;
            self.pooler_run(server, &["mkdir", "-p", "-m", "0700", "addons"])?;
            self.pooler_write(server, &format!("addons/{database}.ini"), &entry(addon, pool))?;
        } else if !place.exists() {
            return Ok(());
        } else if addon.settings.get(POOL_OPTION).is_none_or(|option| option != POOL_ENDING) {
            return self.unpool(addon);
        }
        self.pooler_write(server, &format!("addons/{database}.users"), &users(addon)?)?;
        self.keep_pooler(server)
    }

    /// The pooler does not know the addon any more; without any it ends.
    pub(super) fn unpool(&self, addon: &WantedAddon) -> Result<(), Problem> {
        let (server, database) = (&addon.server, plain(&addon.database)?);
        if !self.pooler_place(server).exists() {
            return Ok(());
        }
        let files = [format!("addons/{database}.ini"), format!("addons/{database}.users")];
        self.pooler_run(server, &["rm", "-f", &files[0], &files[1]])?;
        self.keep_pooler(server)
    }

    /// Keeps it running with what its files say, as long as there is an addon for it.
    pub(super) fn keep_pooler(&self, server: &AddonServer) -> Result<(), Problem> {
        if server.pooler.is_none() || !self.pooler_place(server).join("addons").exists() {
            return Ok(());
        }
        let all = |end: &str| {
            let name = format!("*.{end}");
            self.pooler_run(server, &["find", "addons", "-name", &name, "-exec", "cat", "{}", "+"])
        };
        let databases = all("ini")?;
        if databases.is_empty() {
            self.host.stop(server, PROCESS)?;
            return self.host.remove_place(&self.pooler_place(server));
        }
        self.pooler_write(server, "users.txt", &all("users")?)?;
        let config = config(&databases, &self.pooler_place(server), pooler(server)?.port);
        self.pooler_write(server, "pgbouncer.ini", &config)?;
        let job = self.pooler_job(server, &[&PROGRAM.find()?, "pgbouncer.ini"])?;
        let ends = self.host.ends(server, PROCESS)?;
        self.host.keep_beside(server, PROCESS, job, GRACE_SECS)?;
        // One that ran already reads its files again; one that is new is asked until it answers.
        self.host.until(server, PROCESS, ends + 1, &|| self.console(server, "RELOAD").is_ok())
    }

    fn pooler_write(&self, server: &AddonServer, file: &str, text: &str) -> Result<(), Problem> {
        self.host.write_by(&|argv| self.pooler_job(server, argv), file, text)
    }

    /// What it carries for an addon.
    pub(super) fn pool_status(&self, addon: &WantedAddon, pool: &Pool) -> Result<PoolStatus, Problem> {
        let answer = self.console(&addon.server, "SHOW POOLS")?;
        let mut lines = answer.lines().map(|line| line.split('|').collect::<Vec<_>>());
        let names = lines.next().unwrap_or_default();
        let mut status = PoolStatus {
            mode: pool.mode.to_owned(),
            port: pool.port,
            clients: 0,
            waiting: 0,
            connections: 0,
        };
        for fields in lines.filter(|fields| fields.first() == Some(&addon.database.as_str())) {
            let row: HashMap<&str, &str> = names.iter().copied().zip(fields).collect();
            let sum = |front: &str| -> u64 {
                let of_these = row.iter().filter(|(name, _)| name.starts_with(front));
                of_these.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
            };
            status.clients += sum("cl_active") + sum("cl_waiting");
            status.waiting += sum("cl_waiting");
            status.connections += sum("sv_");
        }
        Ok(status)
    }
}

/// Both credentials of a rotation share the connections.
fn entry(addon: &WantedAddon, pool: &Pool) -> String {
    let (database, port, Pool { mode, size, .. }) = (&addon.database, addon.server.port, pool);
    format!(
        "{database} = host=127.0.0.1 port={port} dbname={database} pool_mode={mode} pool_size={size} \
         max_db_connections={size}\n"
    )
}

fn users(addon: &WantedAddon) -> Result<String, Problem> {
    let each = addon.credentials.iter().map(|credential| {
        Ok(format!("\"{}\" \"{}\"\n", plain(&credential.user)?, plain(credential.password.expose())?))
    });
    each.collect()
}

fn config(databases: &str, place: &std::path::Path, port: u16) -> String {
    let place = place.display();
    format!(
        "[databases]\n{databases}\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir = {place}\nunix_socket_mode = 0700\n\
         auth_type = scram-sha-256\nauth_file = users.txt\n\
         max_client_conn = 10000\n\
         server_reset_query = {AFTER_SESSION}\n\
         server_idle_timeout = 60\n\
         ; A server that comes back is found at once.\n\
         server_login_retry = 1\n\
         ; JDBC sends it to every server.\n\
         ignore_startup_parameters = extra_float_digits\n\
         log_connections = 0\nlog_disconnections = 0\nlog_stats = 0\n"
    )
}
