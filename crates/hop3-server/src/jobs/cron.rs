// SPDX-License-Identifier: Apache-2.0
//! Cron: at each minute, the lines of every running app whose schedule matches (crontab(5), the server's time zone).
//! A line that still runs from an earlier minute is not started a second time.

use crate::deploy::{self, Context};
use crate::server::Server;
use crate::store::App;
use crate::verb;
use hop3_core::event::Event;
use hop3_core::sandbox::Command;
use hop3_core::settings::Cron;
use jiff::Zoned;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A line may run so long.
const DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);

type Running = Arc<Mutex<HashSet<(i64, Cron)>>>;

pub(super) fn run(server: &Arc<Server>) {
    let running = Running::default();
    loop {
        let into_minute = Zoned::now().second() as u64;
        std::thread::sleep(Duration::from_secs(60 - into_minute));
        tick(server, &running, &Zoned::now());
    }
}

fn tick(server: &Arc<Server>, running: &Running, now: &Zoned) {
    let Ok(serving) = server.store.serving() else { return };
    for (app, current) in serving {
        let Some((_, artifact)) = current.filter(|_| !app.stopped) else { continue };
        for line in artifact.processes.cron.into_iter().filter(|line| is_due(&line.schedule, now)) {
            start(server, running, app.clone(), line);
        }
    }
}

/// Tells whether a schedule names this minute.
pub(super) fn is_due(schedule: &str, now: &Zoned) -> bool {
    let weekday = now.weekday().to_sunday_zero_offset() as u8;
    let at = hop3_core::cron::Minute {
        minute: now.minute() as u8,
        hour: now.hour() as u8,
        day: now.day() as u8,
        month: now.month() as u8,
        weekday,
    };
    // Checked when the file was read.
    hop3_core::cron::Schedule::parse(schedule).is_ok_and(|schedule| schedule.matches(at))
}

fn start(server: &Arc<Server>, running: &Running, app: App, line: Cron) {
    let key = (app.id, line.clone());
    if !running.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
        return;
    }
    let (server, running) = (Arc::clone(server), Arc::clone(running));
    std::thread::spawn(move || {
        execute(&server, app, &line);
        running.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    });
}

fn execute(server: &Arc<Server>, app: App, line: &Cron) {
    let cx = Context::new(server, app, None);
    let Ok(release) = deploy::current(&cx) else { return };
    cx.tell(Event::CronStarted { command: line.command.clone() });
    let how = match deploy::one_off(server, &cx.app, &release, &Command::shell(&line.command)) {
        Ok(job) => verb::run::log_run(server, &cx.app.name, "cron", &job, DEADLINE),
        Err(problem) => problem.title,
    };
    cx.tell(Event::CronFinished { command: line.command.clone(), how });
}
