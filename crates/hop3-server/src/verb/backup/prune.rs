// SPDX-License-Identifier: Apache-2.0
//! `backup prune`, `backup schedule`: which backups are kept, and when they are made and proven.

mod keep;

use super::{say, service, target};
use crate::server::{Server, internal};
use crate::store::{Backup, now_ms};
use hop3_core::backup::{BackupInfo, BackupOf, BackupSchedule, Keep, PruneBackupsRequest, Tell};
use hop3_core::cron::Schedule;
use hop3_core::driver::Snapshot;
use hop3_core::problem::{Kind, Problem};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

/// What has no manifest after so long was cut off. Another server may be at work in the same place.
const ABANDONED_MS: u64 = 24 * 60 * 60 * 1000;

/// Backups of one thing in one target, newest first.
type Row = ((String, BackupOf), Vec<Backup>);

/// Forgets backups that need not be kept, and what was begun and never finished; gives those that went.
pub(crate) fn prune(
    server: &Server,
    request: &PruneBackupsRequest,
    tell: Tell<'_>,
) -> Result<Vec<BackupInfo>, Problem> {
    let _one = server.backing_up.lock().unwrap_or_else(PoisonError::into_inner);
    let schedules = schedules(server)?;
    let mut gone: BTreeMap<String, Vec<Backup>> = BTreeMap::new();
    let only = BackupOf::new(request.app.as_ref(), request.addon.as_ref());
    for ((target, of), backups) in rows(server)? {
        if only != BackupOf::Server && only != of {
            continue;
        }
        let scheduled = schedules.iter().find(|schedule| schedule.of() == of).map(|schedule| schedule.keep);
        let keep = request.keep.or(scheduled).unwrap_or_default();
        let times: Vec<u64> = backups.iter().map(|backup| backup.info.made_ms).collect();
        let kept = keep::kept(&times, keep, &TimeZone::system());
        let left = backups.into_iter().enumerate().filter(|(at, _)| !kept.contains(at)).map(|(_, b)| b);
        gone.entry(target).or_default().extend(left);
    }
    for (target, backups) in &gone {
        sweep(server, target, backups, tell)?;
    }
    Ok(gone.into_values().flatten().map(|backup| backup.info).collect())
}

fn rows(server: &Server) -> Result<Vec<Row>, Problem> {
    let mut rows: BTreeMap<_, Vec<Backup>> = BTreeMap::new();
    for backup in server.store.backups().map_err(internal)? {
        rows.entry((backup.info.target.clone(), backup.info.of())).or_default().push(backup);
    }
    Ok(rows.into_iter().collect())
}

/// Forgets these of a target, and what was abandoned there.
fn sweep(server: &Server, target: &str, backups: &[Backup], tell: Tell<'_>) -> Result<(), Problem> {
    let place = target::place(server, Some(target))?.1;
    let all = server.drivers.backups.list(&place, &["hop3".to_owned()])?;
    let ids: BTreeSet<&str> = backups.iter().map(|backup| backup.info.id.as_str()).collect();
    let complete: BTreeSet<&str> =
        all.iter().filter(|snapshot| has_tag(snapshot, "part=manifest")).filter_map(id_of).collect();
    let is_gone = |snapshot: &&Snapshot| {
        id_of(snapshot).is_some_and(|id| ids.contains(id) || (!complete.contains(id) && is_abandoned(id)))
    };
    // The manifest goes first: without it the rest is no backup.
    let mut snapshots: Vec<&Snapshot> = all.iter().filter(is_gone).collect();
    snapshots.sort_by_key(|snapshot| !has_tag(snapshot, "part=manifest"));
    let snapshots: Vec<String> = snapshots.into_iter().map(|snapshot| snapshot.id.clone()).collect();
    say(tell, format!("{target}: {} backups go, {} snapshots of them", ids.len(), snapshots.len()));
    for backup in backups {
        server.store.remove_backup(target, &backup.info.id).map_err(internal)?;
    }
    server.drivers.backups.forget(&place, &snapshots)
}

fn has_tag(snapshot: &Snapshot, tag: &str) -> bool {
    snapshot.tags.iter().any(|one| one == tag)
}

fn id_of(snapshot: &Snapshot) -> Option<&str> {
    snapshot.tags.iter().find_map(|tag| tag.strip_prefix("backup="))
}

/// Ids begin with the moment they were made at.
fn is_abandoned(id: &str) -> bool {
    let time = id.get(..15).and_then(|text| jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", text).ok());
    let time = time.and_then(|time| time.to_zoned(TimeZone::UTC).ok()).map(|time| time.timestamp());
    let now = Timestamp::from_millisecond(now_ms() as i64).unwrap_or_default();
    time.is_some_and(|time| now.as_millisecond() - time.as_millisecond() > ABANDONED_MS as i64)
}

pub(crate) fn schedules(server: &Server) -> Result<Vec<BackupSchedule>, Problem> {
    server.store.backup_schedules().map_err(internal)
}

pub(crate) fn schedule(server: &Server, schedule: &BackupSchedule) -> Result<BackupSchedule, Problem> {
    Schedule::parse(&schedule.at)?;
    Schedule::parse(&schedule.prove)?;
    match schedule.of() {
        BackupOf::Server => {}
        BackupOf::App(app) => drop(server.app(&app)?),
        BackupOf::Addon(addon) => drop(service::savable(server, &addon)?),
    }
    let Keep { last, daily, weekly, monthly } = schedule.keep;
    if last + daily + weekly + monthly == 0 {
        let title = "a schedule that keeps nothing makes no backups";
        return Err(
            Problem::new(Kind::User, "backup.keeps-nothing", title).hint("keep at least the last one")
        );
    }
    // It must be there, and known before the night.
    target::place(server, schedule.target.as_deref())?;
    let schedule = BackupSchedule { failed: None, ..schedule.clone() };
    server.store.set_backup_schedule(&schedule).map_err(internal)?;
    Ok(schedule)
}

/// Keeps how it went the last time, unless the schedule is another by now.
pub(crate) fn note_outcome(
    server: &Server,
    schedule: &BackupSchedule,
    failed: Option<Problem>,
) -> Result<(), Problem> {
    let same = |one: &&BackupSchedule| {
        (one.of(), &one.at, &one.target) == (schedule.of(), &schedule.at, &schedule.target)
    };
    match schedules(server)?.iter().find(same) {
        Some(now) if now.failed != failed => {
            server.store.set_backup_schedule(&BackupSchedule { failed, ..now.clone() }).map_err(internal)
        }
        _ => Ok(()),
    }
}

/// Of what is backed up by itself, what was not made or not proven the last time.
pub(crate) fn failing(server: &Server) -> Result<Vec<(BackupOf, Problem)>, Problem> {
    let mut failing = Vec::new();
    for schedule in schedules(server)? {
        let newest = super::newest_of(server, &schedule)?;
        let unproven = newest.and_then(|newest| newest.info.problem);
        failing.extend(schedule.failed.clone().or(unproven).map(|problem| (schedule.of(), problem)));
    }
    Ok(failing)
}

pub(crate) fn unschedule(server: &Server, of: &BackupOf) -> Result<(), Problem> {
    match server.store.remove_backup_schedule(of).map_err(internal)? {
        true => Ok(()),
        false => Err(Problem::new(Kind::NotFound, "backup.not-scheduled", "there is no such schedule")
            .hint("see them with: hop3 backup schedule")),
    }
}
