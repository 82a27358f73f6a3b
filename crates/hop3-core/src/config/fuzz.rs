// SPDX-License-Identifier: Apache-2.0
//! What must hold of the files people write, whatever is in them (`crate::fuzz`): they are read or refused with a
//! problem that can be shown, and what was read can be written and read again.

use super::process::{assign, cron};
use super::{Assignments, app_json, assignment, entries, overlay, procfile, raw, resolve};
use crate::cron::{Minute, Schedule};
use crate::fuzz::check_problem;
use crate::policy::Policy;
use crate::problem::Problem;
use crate::settings::Settings;

/// Each line is a name and a command, which are the same when they are written again.
pub fn procfile(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines = match procfile::parse("Procfile", &text) {
        Ok(lines) => lines,
        Err(problem) => return check_problem(&problem, &text),
    };
    let written: String = lines.iter().map(|line| format!("{}: {}\n", line.name, line.command)).collect();
    let again = procfile::parse("Procfile", &written).expect("what was read is written");
    let pairs = |lines: &[super::process::Entry]| -> Vec<(String, String)> {
        lines.iter().map(|line| (line.name.clone(), line.command.clone())).collect()
    };
    assert_eq!(pairs(&again), pairs(&lines));
    let has_control =
        |line: &super::process::Entry| line.command.chars().any(|c| c.is_control() && c != '\t');
    assert!(!lines.iter().any(has_control));
    let mut settings = Settings::default();
    check(assign(lines, &mut settings).map(|()| settings), &text);
}

fn check(settings: Result<Settings, Problem>, text: &str) {
    let settings = match settings {
        Ok(settings) => settings,
        Err(problem) => return check_problem(&problem, text),
    };
    let json = serde_json::to_string(&settings).expect("settings are data");
    let again: Settings = serde_json::from_str(&json).expect("settings are read again");
    assert_eq!(again, settings);
    for (prefix, folder) in &settings.run.statics {
        assert!(prefix.starts_with('/') && !prefix.starts_with("//"), "{prefix:?}");
        assert!(!folder.starts_with('/') && folder.split('/').all(|part| part != ".."), "{folder:?}");
    }
    for line in &settings.run.cron {
        assert!(Schedule::parse(&line.schedule).is_ok() && !line.command.is_empty());
    }
    let shown = settings.warnings.iter().flat_map(|warning| warning.chars());
    assert!(!shown.into_iter().any(char::is_control), "a terminal would obey {:?}", settings.warnings);
}

pub fn hop3_toml(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = || {
        let mut settings = Settings::default();
        let entries = resolve::apply(raw::parse("hop3.toml", &text)?, "hop3.toml", &text, &mut settings)?;
        assign(entries, &mut settings)?;
        Ok(settings)
    };
    check(read(), &text);
}

pub fn app_json(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = || {
        let mut settings = Settings::default();
        let entries = app_json::apply(&text, &mut settings)?;
        assign(entries, &mut settings)?;
        Ok(settings)
    };
    check(read(), &text);
}

/// A schedule means the same in any spelling, and its sets are what its fields say.
pub fn cron_line(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match cron(&text) {
        Ok(line) => assert!(Schedule::parse(&line.schedule).is_ok() && !line.command.trim().is_empty()),
        Err(problem) => check_problem(&problem, &text),
    }
    let schedule = match Schedule::parse(&text) {
        Ok(schedule) => schedule,
        Err(problem) => return check_problem(&problem, &text),
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(Schedule::parse(&fields.join("\t").to_ascii_uppercase()), Ok(schedule.clone()));
    let is_due = |hour: u8, minute: u8| {
        (1..=31_u8).any(|day| {
            let of_month =
                |month: u8| schedule.matches(Minute { minute, hour, day, month, weekday: day % 7 });
            (1..=12).any(of_month)
        })
    };
    let minutes = (0..60).filter(|minute| (0..24).any(|hour| is_due(hour, *minute))).count();
    let is_any = |field: &str| field == "*" || field == "*/1";
    // Where every day and hour counts, each minute of the first field does.
    if fields[1..].iter().all(|field| is_any(field)) {
        assert!(minutes > 0 && (!is_any(fields[0]) || minutes == 60), "{text:?} is due in {minutes} minutes");
    }
}

/// What was set by hand can be told back, and set again.
pub fn policy_value(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut set = Assignments::new();
    for line in text.split('\u{1}') {
        match assignment(line) {
            Ok((key, value)) => drop(set.insert(key, value)),
            Err(problem) => return check_problem(&problem, line),
        }
    }
    let policy = match overlay(&Policy::default(), &set) {
        Ok(policy) => policy,
        // Its place is one in a text that only the overlay knows.
        Err(problem) => return check_problem(&Problem { span: None, ..problem }, &text),
    };
    let told = entries(&policy);
    match overlay(&Policy::default(), &told) {
        Ok(again) => assert_eq!(again, policy, "{told:?}"),
        Err(problem) => panic!("what was set cannot be set: {problem} in {told:?}"),
    }
}
