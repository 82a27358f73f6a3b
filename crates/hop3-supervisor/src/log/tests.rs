// SPDX-License-Identifier: Apache-2.0
//! Logs on a real disk: what was written is read back, bounded.

use super::*;

fn texts(directory: &Path, request: LogRequest) -> Vec<String> {
    read::newest(directory, &request).unwrap().into_iter().map(|line| line.text).collect()
}

#[test]
fn the_newest_lines_come_back_oldest_first_across_rotations() {
    let place = tempfile::tempdir().unwrap();
    let mut log = GroupLog::new(place.path().to_owned());
    let long = "x".repeat(8000);
    for n in 0..9000_u64 {
        log.write(&format!("{n} web.v1.{} {n} {long}\n", n % 2)).unwrap();
    }
    let size: u64 = fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(size <= (FILE_MAX_BYTES + 10_000) * 5, "{size}");
    let request = LogRequest { last: Some(2000), ..LogRequest::default() };
    let lines = texts(place.path(), request);
    assert_eq!(lines.len(), 2000);
    assert!(lines[0].starts_with("7000 ") && lines[1999].starts_with("8999 "));
    let request = LogRequest { name: Some("web.v1.1".into()), since_ms: Some(8990), ..LogRequest::default() };
    assert_eq!(texts(place.path(), request).len(), 5);
    let request = LogRequest { name: Some("we".into()), ..LogRequest::default() };
    assert!(texts(place.path(), request).is_empty());
}

#[test]
fn a_removed_log_begins_anew() {
    let place = tempfile::tempdir().unwrap();
    let logs = Logs::new(place.path().to_owned());
    let log = logs.open("one");
    logs.append("one", &log, "web", vec!["before".into()]);
    logs.close("one");
    fs::remove_dir_all(place.path().join("one")).unwrap();
    logs.append("one", &log, "web", vec!["after".into()]);
    assert_eq!(texts(&place.path().join("one"), LogRequest::default()), ["after"]);
}
