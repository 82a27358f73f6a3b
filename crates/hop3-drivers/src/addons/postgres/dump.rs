// SPDX-License-Identifier: Apache-2.0
//! How a database is written out and read back: pg_dump as the administrator, pg_restore or psql as the addon's own user.

use super::Postgres;
use hop3_core::Problem;
use hop3_core::addon::WantedAddon;
use hop3_core::sandbox::Job;
use std::io::Write;

impl Postgres {
    /// Writes a database of the server, or of a copy of it whose socket lies there.
    pub(super) fn dump(
        &self,
        addon: &WantedAddon,
        socket: Option<&str>,
        to: &mut dyn Write,
    ) -> Result<(), Problem> {
        let mut job = self.dumper(addon, &[])?;
        if let Some(socket) = socket {
            let socket = self.host.directory(&addon.server).join(socket);
            job.env.insert("PGHOST".into(), socket.to_string_lossy().into_owned());
        }
        self.host.drain(&job, to)
    }

    /// Writes a database as a transaction that is still open sees it.
    pub(super) fn dump_at(
        &self,
        addon: &WantedAddon,
        snapshot: &str,
        to: &mut dyn Write,
    ) -> Result<(), Problem> {
        self.host.drain(&self.dumper(addon, &[&format!("--snapshot={snapshot}")])?, to)
    }

    fn dumper(&self, addon: &WantedAddon, more: &[&str]) -> Result<Job, Problem> {
        // Not compressed: what keeps it compresses, and finds what did not change since the last time.
        let arguments = ["--format=custom", "--compress=0", "--no-owner", "--no-acl"];
        self.client(&addon.server, "pg_dump", &[&arguments[..], more, &[&addon.database]].concat())
    }

    pub(super) fn reader_of_dump(&self, addon: &WantedAddon, database: &str) -> Result<Job, Problem> {
        let into = format!("--dbname={database}");
        let mut arguments = vec!["--no-owner", "--no-acl", "--exit-on-error", "--single-transaction", &into];
        if addon.settings.contains_key("extensions") {
            // Extensions that only the administrator can make are made already, and their comments are his.
            arguments.push("--no-comments");
        }
        self.reader(addon, database, "pg_restore", &arguments)
    }

    pub(super) fn reader_of_sql(&self, addon: &WantedAddon, database: &str) -> Result<Job, Problem> {
        let arguments = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-o", "/dev/null"];
        self.reader(addon, database, "psql", &arguments)
    }

    /// What is read back was written by somebody: its statements run as the addon's own user and can do what he can,
    /// and the client, which may run commands that it reads, is nobody.
    pub(super) fn reader(
        &self,
        addon: &WantedAddon,
        database: &str,
        program: &str,
        arguments: &[&str],
    ) -> Result<Job, Problem> {
        let install = self.install(&addon.server.version)?;
        let program = install.program(program);
        let argv = [program.as_str()].into_iter().chain(arguments.iter().copied());
        let mut job = self.host.stranger_job(&addon.server, argv);
        install.show(&mut job);
        let credential = addon.credential();
        let own = [
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", addon.server.port.to_string()),
            ("PGUSER", credential.user.clone()),
            ("PGPASSWORD", credential.password.expose().clone()),
            ("PGDATABASE", database.to_owned()),
        ];
        job.env.extend(own.map(|(key, value)| (key.to_owned(), value)));
        Ok(job)
    }
}
