// SPDX-License-Identifier: Apache-2.0
//! restic, as a program: started in a sandbox of its own through the supervisor, as a user who may read what every app
//! has and write nowhere but in the repository. Keys and passwords go by its environment, never by its arguments.
//!
//! Needs restic 0.14, Debian 12's. Reading order: here what is asked of it, `program` how it is run, `complaint` what
//! its complaints mean.

mod complaint;
mod program;

use hop3_core::Problem;
use hop3_core::backup::is_path;
use hop3_core::driver::{BackupPlace, BackupStore, Content, Progress, Runner, Save, Saved, Snapshot, Taken};
use hop3_core::layout::Layout;
use hop3_core::problem::Kind;
use program::{Call, Printed, Program, Ran};
use serde::Deserialize;
use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// One name for every machine: an app's snapshots follow each other wherever it moves.
const HOST: &str = "hop3";

/// Some files could not be read; the snapshot was made.
const INCOMPLETE: u8 = 3;

pub struct Restic {
    runner: Arc<dyn Runner>,
    layout: Layout,
    /// Places in which no lock of an earlier run can lie.
    unlocked: Mutex<HashSet<String>>,
}

impl Restic {
    pub fn new(layout: &Layout, runner: Arc<dyn Runner>) -> Restic {
        Restic { runner, layout: layout.clone(), unlocked: Mutex::default() }
    }

    fn run(&self, place: &BackupPlace, call: Call<'_>) -> Result<Ran, Problem> {
        let location = place.location.expose();
        let program = Program { runner: &*self.runner, layout: &self.layout, place };
        let unlocked = || self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
        // A run that was killed leaves its lock. Whoever calls runs one at a time, so what lies there is nobody's.
        if !unlocked().contains(location) {
            program.run(Call::new(["unlock"]))?.success()?;
            unlocked().insert(location.clone());
        }
        let ran = program.run(call);
        if !ran.as_ref().is_ok_and(Ran::is_success) {
            unlocked().remove(location);
        }
        ran
    }

    /// Makes the directory of a place on this machine, and gives it away.
    fn make(&self, place: &BackupPlace) -> Result<(), Problem> {
        let user = place.user.filter(|_| self.runner.is_privileged());
        self.runner.give(&self.layout.backup_home(), user)?;
        let directory = Path::new(place.location.expose());
        if !is_path(place.location.expose()) {
            return Ok(());
        }
        if directory.starts_with(self.layout.root()) {
            return self.runner.give(directory, user);
        }
        let refused = |error: io::Error| {
            let hint = match user {
                Some(user) => {
                    format!("make it and give it away: install -d -m 700 -o {user} {}", directory.display())
                }
                None => "choose a directory that the server's user may write to".to_owned(),
            };
            let title = format!("the directory {} cannot be made ready for backups", directory.display());
            Problem::new(Kind::Unavailable, "backup.no-directory", title).detail(error.to_string()).hint(hint)
        };
        if fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(refused)?;
        std::os::unix::fs::chown(directory, user, user).map_err(refused)
    }
}

impl BackupStore for Restic {
    fn prepare(&self, place: &BackupPlace) -> Result<(), Problem> {
        self.make(place)?;
        let program = Program { runner: &*self.runner, layout: &self.layout, place };
        let made = program.run(Call::new(["init"]))?;
        if made.is_success() || !made.says(&["already exists", "already initialized"]) {
            return made.success().map(drop);
        }
        self.run(place, Call::new(["cat", "config"]))?.success().map(drop)
    }

    fn save(
        &self,
        place: &BackupPlace,
        save: Save<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Saved, Problem> {
        let mut saved = None;
        let mut call = Call::new(["backup", "--json", "--host", HOST]);
        if let Some(parent) = save.parent {
            call.args(["--parent", parent]);
        }
        save.tags.iter().for_each(|tag| call.args(["--tag", tag]));
        match save.content {
            Content::Paths(paths) => {
                for pattern in save.exclude {
                    call.args(["--exclude", &*self.layout.root().join(pattern).to_string_lossy()]);
                }
                call.args(["--"]);
                for path in paths {
                    call.args([&*path.to_string_lossy()]);
                    call.show(self.layout.root().join(path), false);
                }
                call.cwd = Some(self.layout.root().to_owned());
            }
            Content::Stream { name, from } => {
                call.args(["--stdin", "--stdin-filename", name]);
                call.input = Some(from);
            }
        }
        call.printed = Printed::Lines(Box::new(|line| match serde_json::from_str(line) {
            Ok(Message::Status { bytes_done, total_bytes }) => {
                progress(Progress { done_bytes: bytes_done, total_bytes });
            }
            Ok(Message::Summary(summary)) => saved = Some(summary),
            Err(_) => {}
        }));
        let ran = self.run(place, call)?;
        match saved {
            Some(summary) if ran.is_success() || ran.ended_with(INCOMPLETE) => Ok(summary.told(ran.unread)),
            _ => Err(ran.problem()),
        }
    }

    fn list(&self, place: &BackupPlace, tags: &[String]) -> Result<Vec<Snapshot>, Problem> {
        let mut found = Vec::new();
        let mut call = Call::new(["snapshots", "--json", "--tag", &tags.join(",")]);
        call.printed = Printed::Lines(Box::new(|line| {
            found.extend(serde_json::from_str::<Vec<Listed>>(line).unwrap_or_default());
        }));
        self.run(place, call)?.success()?;
        found.sort_by(|a, b| a.time.cmp(&b.time));
        Ok(found.into_iter().map(|one| Snapshot { id: one.id, tags: one.tags }).collect())
    }

    fn restore(&self, place: &BackupPlace, from: Taken<'_>, to: &Path) -> Result<(), Problem> {
        self.runner.give(to, place.user.filter(|_| self.runner.is_privileged()))?;
        let mut call = Call::new(["restore", from.snapshot, "--target", &*to.to_string_lossy()]);
        if from.twice {
            call.args(["--verify"]);
        }
        from.paths.iter().for_each(|path| call.args(["--include", &pattern(path)]));
        call.show(to.to_owned(), true);
        self.run(place, call)?.success().map(drop).map_err(complaint::of_restore)
    }

    fn dump(
        &self,
        place: &BackupPlace,
        snapshot: &str,
        file: &Path,
        into: &mut dyn Write,
    ) -> Result<(), Problem> {
        let name = format!("/{}", file.display());
        let mut call = Call::new(["dump", snapshot, &name]);
        call.printed = Printed::Data(into);
        self.run(place, call)?.success().map(drop)
    }

    fn check(&self, place: &BackupPlace, thoroughly: bool) -> Result<(), Problem> {
        let mut call = Call::new(["check"]);
        if thoroughly {
            call.args(["--read-data"]);
        }
        let ran = self.run(place, call)?;
        if ran.is_success() { Ok(()) } else { Err(ran.check_problem()) }
    }

    fn forget(&self, place: &BackupPlace, snapshots: &[String]) -> Result<(), Problem> {
        // What was cut off has left data that no snapshot names: there may be something to give back all the same.
        let mut call = match snapshots.is_empty() {
            true => Call::new(["prune"]),
            false => Call::new(["forget", "--prune"]),
        };
        snapshots.iter().for_each(|snapshot| call.args([snapshot.as_str()]));
        self.run(place, call)?.success().map(drop)
    }
}

/// A pattern that stands for this path, and what is beneath it, and for nothing else.
fn pattern(path: &Path) -> String {
    let text = String::from_utf8_lossy(path.as_os_str().as_bytes());
    let escaped = text.chars().flat_map(|c| {
        let special = matches!(c, '*' | '?' | '[' | ']' | '\\');
        special.then_some('\\').into_iter().chain([c])
    });
    std::iter::once('/').chain(escaped).collect()
}

#[derive(Deserialize)]
#[serde(tag = "message_type", rename_all = "lowercase")]
enum Message {
    Status {
        #[serde(default)]
        bytes_done: u64,
        #[serde(default)]
        total_bytes: u64,
    },
    Summary(Summary),
}

#[derive(Deserialize)]
struct Summary {
    snapshot_id: String,
    total_files_processed: u64,
    total_bytes_processed: u64,
    data_added: u64,
}

impl Summary {
    fn told(self, unread: Vec<String>) -> Saved {
        Saved {
            snapshot: self.snapshot_id,
            files: self.total_files_processed,
            bytes: self.total_bytes_processed,
            added_bytes: self.data_added,
            unread,
        }
    }
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    time: String,
    #[serde(default)]
    tags: Vec<String>,
}
