// SPDX-License-Identifier: Apache-2.0
//! What a dump holds, in the place of what a database holds.
//!
//! It is read into a fresh database first: what cannot be read to its end changes nothing. Then all tables change
//! places with the former ones in one statement, which is done or not done whatever dies meanwhile: rows are those of
//! before or those of the dump, all of them. Views, triggers, routines and events cannot change places; they are made
//! anew right before and after. When that fails, tables and all go back; a machine that dies in that instant may leave
//! them out, and reading the dump again brings them.

use super::{Mariadb, dump::Dump, script};
use hop3_core::addon::{AddonServer, WantedAddon};
use hop3_core::sandbox::Job;
use hop3_core::{Kind, Problem};
use std::io::Read;

/// What is not in tables, as a script that makes it and statements that remove it.
struct Definitions {
    make: String,
    remove: String,
}

impl Mariadb {
    pub(super) fn replace(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        let mut dump = Dump::new(from);
        if dump.is_empty().map_err(super::super::unreadable)? {
            return Err(super::super::nothing());
        }
        self.ask(&addon.server, &script::make_fresh(addon)?)?;
        let replaced = self.fill(addon, &mut dump).and_then(|()| self.swap(addon));
        let cleared = self.ask(&addon.server, &script::forget_fresh(addon)?);
        replaced.and(cleared.map(drop))
    }

    fn fill(&self, addon: &WantedAddon, dump: &mut Dump<&mut dyn Read>) -> Result<(), Problem> {
        self.read_as_user(addon, &script::fresh(addon), dump)?;
        if dump.is_whole() {
            return Ok(());
        }
        Err(Problem::new(Kind::User, "addon.not-a-backup", "the dump has no end")
            .detail("its last line should be: -- Dump completed")
            .hint("it was cut on its way; fetch it again"))
    }

    /// Statements are those of whoever wrote them: they run as the addon's own user.
    fn read_as_user(&self, addon: &WantedAddon, database: &str, from: &mut dyn Read) -> Result<(), Problem> {
        self.host.feed(&self.user(addon, database), from).map(drop)
    }

    /// A client as the addon's own user. It runs commands that it reads, unless told otherwise; and it is nobody.
    pub(super) fn user(&self, addon: &WantedAddon, database: &str) -> Job {
        let credential = addon.credential();
        let port = format!("--port={}", addon.server.port);
        let user = format!("--user={}", credential.user);
        let argv = [
            "mariadb",
            "--no-defaults",
            "--batch",
            "--skip-column-names",
            "--binary-mode",
            "--default-character-set=utf8mb4",
            "--protocol=tcp",
            "--host=127.0.0.1",
            &port,
            &user,
            database,
        ];
        let mut job = self.host.stranger_job(&addon.server, argv);
        job.env.insert("MYSQL_PWD".to_owned(), credential.password.expose().clone());
        job
    }

    fn swap(&self, addon: &WantedAddon) -> Result<(), Problem> {
        let (server, own) = (&addon.server, addon.database.as_str());
        let (fresh, former) = (script::fresh(addon), script::former(addon));
        let (before, after) = (self.tables(server, own)?, self.tables(server, &fresh)?);
        let (ours, theirs) = (self.definitions(server, own)?, self.definitions(server, &fresh)?);
        let there = [(own, before.as_slice(), former.as_str()), (fresh.as_str(), &after, own)];
        let begin = format!("CREATE DATABASE `{former}`;\n");
        // Whoever is in the middle of something would keep the tables waiting.
        let users = self.ask(server, &script::users(addon))?;
        let ended: String = users.lines().map(|user| format!("KILL USER '{user}'@'%';\n")).collect();
        let steps = begin + &theirs.remove + &ours.remove + &ended + &script::rename(&there);
        let moved = self.ask(server, &steps);
        if let Err(problem) = moved {
            // The first problem is the one to tell.
            let _ = self.read_as_user(addon, own, &mut Dump::new(ours.make.as_bytes()));
            return Err(problem);
        }
        let made = self.read_as_user(addon, own, &mut Dump::new(theirs.make.as_bytes()));
        made.inspect_err(|_| {
            let back = [(own, after.as_slice(), fresh.as_str()), (former.as_str(), &before, own)];
            let returned = self.definitions(server, own).and_then(|partly| {
                self.ask(server, &(partly.remove + &script::rename(&back)))?;
                self.read_as_user(addon, own, &mut Dump::new(ours.make.as_bytes()))
            });
            if let Err(problem) = returned {
                tracing::warn!(addon = %addon.name, problem = problem.title, "not all is as it was before");
            }
        })
    }

    fn tables(&self, server: &AddonServer, database: &str) -> Result<Vec<String>, Problem> {
        self.names(server, &script::tables(database))
    }

    /// Names that statements give in hexadecimal digits.
    pub(super) fn names(&self, server: &AddonServer, script: &str) -> Result<Vec<String>, Problem> {
        unfolded(&self.ask(server, script)?)
    }

    fn definitions(&self, server: &AddonServer, database: &str) -> Result<Definitions, Problem> {
        let remove = unfolded(&self.ask(server, &script::take_away(database))?)?;
        if remove.is_empty() {
            return Ok(Definitions { make: String::new(), remove: String::new() });
        }
        let views = unfolded(&self.ask(server, &script::views(database))?)?;
        let dumped = |options: &[&str], tables: &[String]| {
            let charset = "--default-character-set=utf8mb4";
            let tables = tables.iter().map(String::as_str);
            let arguments: Vec<&str> = options
                .iter()
                .copied()
                .chain([charset, "--skip-dump-date", "--", database])
                .chain(tables)
                .collect();
            self.host.ask(&self.client(server, "mariadb-dump", &arguments)?, "")
        };
        let mut make =
            dumped(&["--no-data", "--no-create-info", "--routines", "--events", "--triggers"], &[])?;
        if !views.is_empty() {
            make += &dumped(&["--no-data", "--skip-triggers"], &views)?;
        }
        Ok(Definitions { make, remove: remove.join(";\n") + ";\n" })
    }
}

/// Lines of hexadecimal digits, as the text that they stand for.
fn unfolded(lines: &str) -> Result<Vec<String>, Problem> {
    lines.lines().map(super::super::unhex).collect::<Option<_>>().ok_or_else(|| {
        Problem::new(Kind::Unavailable, "addon.client-failed", "mariadb printed what is no list of names")
    })
}
