// SPDX-License-Identifier: Apache-2.0
//! What a server held at a past moment: PostgreSQL's continuous archiving (its manual, chapter 26) on local disk.
//!
//! `pg_receivewal` writes the log of changes to `wal/` as it comes, through a slot that keeps the server from dropping
//! what was not written yet; `pg_basebackup` puts a copy of the whole server into `base/<ms>` once a day. A past moment
//! is a copy of the newest base before it that replays the log up to there, beside the server, on a socket of its own.

use super::{ADMIN, Install, Postgres};
use hop3_core::addon::{AddonServer, WantedAddon};
use hop3_core::{Kind, Problem};
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The option that asks for it: days.
pub(super) const OPTION: &str = "history";

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The log of the moment asked for must have arrived.
const ARRIVAL: Duration = Duration::from_secs(60);

/// Lines without data of anybody's: names are the server's own, places are relative to the copy.
const RESTORE_COMMAND: &str = "cp ../../wal/%f %p 2>/dev/null || cp ../../wal/%f.partial %p";

/// So much of the log may wait for the receiver before the disk is worth more.
const SLOT_KEEPS: &str = "max_slot_wal_keep_size=16GB";

impl Postgres {
    /// What the server itself must be started with.
    pub(super) fn history_settings() -> [String; 1] {
        [SLOT_KEEPS.to_owned()]
    }

    /// Keeps the log coming, a base that is not older than a day, and nothing older than what was asked for.
    pub(super) fn keep_history(&self, server: &AddonServer, install: &Install) -> Result<(), Problem> {
        let Some(days) = days(server)? else { return Ok(()) };
        let run = |argv: &[&str]| self.run(server, argv);
        run(&["mkdir", "-p", "-m", "0700", "wal"])?;
        run(&["mkdir", "-p", "base"])?;
        self.psql(
            server,
            ADMIN,
            "SELECT pg_create_physical_replication_slot('hop3', true) WHERE NOT EXISTS
                 (SELECT FROM pg_replication_slots WHERE slot_name = 'hop3');",
        )?;
        let receive = ["--directory=wal", "--slot=hop3", "--no-password", "--synchronous"];
        let mut job = self.client(server, "pg_receivewal", &receive)?;
        job.cwd = self.host.directory(server);
        self.host.keep_beside(server, "receiver", job, 10)?;
        if self.bases(server).last().is_none_or(|newest| newest + DAY_MS <= now_ms()) {
            run(&["rm", "-rf", "base/new"])?;
            let arguments = ["--pgdata=base/new", "--checkpoint=fast", "--wal-method=none", "--no-password"];
            self.host.ask(&self.client(server, "pg_basebackup", &arguments)?, "")?;
            run(&["mv", "-T", "base/new", &format!("base/{}", now_ms())])?;
        }
        self.forget_before(server, install, now_ms().saturating_sub(days * DAY_MS))
    }

    /// When each base was whole, oldest first.
    fn bases(&self, server: &AddonServer) -> Vec<u64> {
        let entries = fs::read_dir(self.host.directory(server).join("base")).into_iter().flatten().flatten();
        let mut bases: Vec<u64> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        bases.sort_unstable();
        bases
    }

    /// Drops bases, and the log before the oldest one that is left; the newest before that moment is needed.
    fn forget_before(&self, server: &AddonServer, install: &Install, moment: u64) -> Result<(), Problem> {
        let bases = self.bases(server);
        let Some(first) = bases.iter().rposition(|base| *base <= moment) else { return Ok(()) };
        let run = |argv: &[&str]| self.run(server, argv);
        for base in &bases[..first] {
            run(&["rm", "-rf", &format!("base/{base}")])?;
        }
        let label = run(&["cat", &format!("base/{}/backup_label", bases[first])])?;
        // START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
        let file = label.split_once("(file ").and_then(|(_, rest)| rest.split_once(')'));
        let Some((file, _)) = file else { return Ok(()) };
        run(&[&install.program("pg_archivecleanup"), "wal", file]).map(drop)
    }

    /// Writes what the addon held at that moment.
    pub(super) fn backup_of(
        &self,
        addon: &WantedAddon,
        moment_ms: u64,
        to: &mut dyn Write,
    ) -> Result<(), Problem> {
        let server = &addon.server;
        let bases = self.bases(server);
        let Some(base) = bases.iter().rev().find(|base| **base <= moment_ms) else {
            return Err(no_history(server, bases.first().copied()));
        };
        // One at a time: they share a place.
        let _alone = self.rewinding.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.await_log(server, moment_ms)?;
        let run = |argv: &[&str]| self.run(server, argv);
        let end = || self.host.stop(server, "rewind").and_then(|()| run(&["rm", "-rf", "rewind"]).map(drop));
        end()?;
        run(&["mkdir", "-p", "-m", "0700", "rewind/run"])?;
        run(&["cp", "-a", "--reflink=auto", &format!("base/{base}"), "rewind/data"])?;
        run(&["touch", "rewind/data/recovery.signal"])?;
        let written = self.rewind(server, moment_ms).and_then(|()| self.dump(addon, Some("rewind/run"), to));
        end().and(written)
    }

    /// Lets the copy replay the log up to the moment, and then answer.
    fn rewind(&self, server: &AddonServer, moment_ms: u64) -> Result<(), Problem> {
        let directory = self.host.directory(server).join("rewind");
        let install = self.install(&server.version)?;
        let settings = [
            "listen_addresses=".to_owned(),
            format!("port={}", server.port),
            format!("unix_socket_directories={}", directory.join("run").display()),
            // Nobody comes in before the moment is reached.
            "hot_standby=off".to_owned(),
            format!("restore_command={RESTORE_COMMAND}"),
            format!("recovery_target_time={}", written(moment_ms)),
            "recovery_target_action=promote".to_owned(),
            "log_line_prefix=rewind: ".to_owned(),
        ];
        let program = install.program("postgres");
        let mut argv = vec![program, "-D".to_owned(), directory.join("data").display().to_string()];
        argv.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        self.host.keep_beside(server, "rewind", self.job(server, &argv)?, 10)?;
        let ready = || -> Result<String, Problem> {
            let mut job = self.client(server, "pg_isready", &["-q"])?;
            job.env.insert("PGHOST".into(), directory.join("run").display().to_string());
            self.host.ask(&job, "")
        };
        self.host.until(server, "rewind", 0, &|| ready().is_ok())
    }

    /// Waits until the log has a commit from after the moment: PostgreSQL stops there and nowhere else.
    fn await_log(&self, server: &AddonServer, moment_ms: u64) -> Result<(), Problem> {
        if moment_ms > now_ms() {
            let problem = Problem::new(Kind::NotFound, "addon.no-history", "that moment has not come yet");
            return Err(problem);
        }
        // A server that does not answer writes no more; what it wrote is there.
        let Ok(end) = self.psql(server, ADMIN, "SELECT txid_current(); SELECT pg_current_wal_lsn();") else {
            return Ok(());
        };
        let end = end.lines().last().unwrap_or_default();
        let has_come = format!(
            "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'hop3' AND restart_lsn >= '{end}';"
        );
        let deadline = Instant::now() + ARRIVAL;
        while self.psql(server, ADMIN, &has_come)?.trim() != "1" {
            if Instant::now() > deadline {
                let title = format!("the log of {} does not arrive", server.name);
                return Err(Problem::new(Kind::Unavailable, "addon.history-behind", title)
                    .hint("its last lines tell why: hop3 addon logs NAME"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

fn days(server: &AddonServer) -> Result<Option<u64>, Problem> {
    let Some(text) = server.settings.get(OPTION) else { return Ok(None) };
    match text.parse() {
        Ok(days @ 1..=365) => Ok(Some(days)),
        _ => Err(Problem::new(
            Kind::User,
            "addon.bad-option",
            format!("{OPTION} is a number of days, 1 to 365"),
        )
        .detail(text.escape_debug().to_string())),
    }
}

fn no_history(server: &AddonServer, first: Option<u64>) -> Problem {
    let title = match first {
        Some(first) => format!("the history of {} begins at {}", server.name, written(first)),
        None => format!("{} has no history", server.name),
    };
    Problem::new(Kind::NotFound, "addon.no-history", title)
        .hint("ask for it before you need it: hop3 addon scale NAME history=7")
}

/// A moment as PostgreSQL reads it.
fn written(moment_ms: u64) -> String {
    let moment = i64::try_from(moment_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    moment.unwrap_or_default().strftime("%F %T%.3f+00").to_string()
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
