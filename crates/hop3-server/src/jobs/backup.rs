// SPDX-License-Identifier: Apache-2.0
//! Backups on their schedule: made, swept by what is to be kept, and proven. One after the other: what is due while
//! another is under way comes right after it.

use super::cron::is_due;
use crate::server::Server;
use crate::verb::backup;
use hop3_core::backup::{BackupSchedule, CreateBackupRequest, PruneBackupsRequest};
use hop3_core::problem::Problem;
use jiff::Zoned;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// What is due.
enum Due {
    Make(BackupSchedule),
    Prove(BackupSchedule),
}

pub(super) fn run(server: &Arc<Server>) {
    let (sender, due) = channel();
    let worker = Arc::clone(server);
    let working = std::thread::Builder::new().name("backup".into()).spawn(move || {
        for due in due {
            work(&worker, &due);
        }
    });
    if let Err(error) = working {
        tracing::error!(%error, "no thread for backups");
        return;
    }
    loop {
        let into_minute = Zoned::now().second() as u64;
        std::thread::sleep(Duration::from_secs(60 - into_minute.min(59)));
        tick(server, &sender, &Zoned::now());
    }
}

fn tick(server: &Server, sender: &Sender<Due>, now: &Zoned) {
    // A store that cannot be read is told by whoever else reads it.
    for schedule in backup::schedules(server).unwrap_or_default() {
        // The worker lives as long as this thread.
        if is_due(&schedule.at, now) {
            let _ = sender.send(Due::Make(schedule.clone()));
        }
        if is_due(&schedule.prove, now) {
            let _ = sender.send(Due::Prove(schedule));
        }
    }
}

fn work(server: &Arc<Server>, due: &Due) {
    let (what, done) = match due {
        Due::Make(schedule) => ("made", make(server, schedule)),
        Due::Prove(schedule) => ("proven", prove(server, schedule)),
    };
    // Whoever looks at the schedules or at the server is told of what was not made; of what was not proven, the list.
    let noted = match due {
        Due::Make(schedule) => backup::note_outcome(server, schedule, done.as_ref().err().cloned()),
        Due::Prove(_) => Ok(()),
    };
    // The event of it tells the app's people.
    for problem in [done, noted].into_iter().filter_map(Result::err) {
        tracing::warn!(code = problem.code, problem = problem.title, "a scheduled backup was not {what}");
    }
}

fn make(server: &Arc<Server>, schedule: &BackupSchedule) -> Result<(), Problem> {
    let (app, addon) = (schedule.app.clone(), schedule.addon.clone());
    let target = schedule.target.clone();
    let request = CreateBackupRequest { app: app.clone(), addon: addon.clone(), target };
    backup::create(server, &request, true, &|_| {})?;
    let request = PruneBackupsRequest { app, addon, keep: None };
    backup::prune(server, &request, &|_| {}).map(drop)
}

/// The newest one that is in the schedule's target.
fn prove(server: &Arc<Server>, schedule: &BackupSchedule) -> Result<(), Problem> {
    match backup::newest_of(server, schedule)? {
        Some(newest) => backup::prove(server, &newest, None, &|_| {}),
        None => Ok(()),
    }
}
