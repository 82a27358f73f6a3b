// SPDX-License-Identifier: Apache-2.0
//! What must hold of a log, whatever bytes lie in its file (`crate::fuzz`): read from its end, it says what it says
//! read from its beginning.

use super::read::{newest, parse};
use crate::protocol::LogRequest;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let beneath = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = beneath.join(format!("hop3-log-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    folder
});

pub fn log_records(data: &[u8]) {
    let [last, times, text @ ..] = data else { return };
    // More than one reading's worth.
    let bytes =
        text.repeat(if *times & 1 == 0 { 1 } else { 70_000 / text.len().max(1) + usize::from(*times) });
    fs::write(FOLDER.join("current.log"), &bytes).expect("a temporary file");
    let last = usize::from(*last) + 1;
    let request = LogRequest { group: "g".to_owned(), name: None, last: Some(last), since_ms: None };
    let found = newest(&FOLDER, &request).expect("a temporary file is read");
    let records = bytes.split(|b| *b == b'\n').filter(|record| !record.is_empty());
    let all: Vec<_> = records.filter_map(|record| parse(&String::from_utf8_lossy(record))).collect();
    assert!(found == all[all.len().saturating_sub(last)..], "the end of a log is not its newest lines");
}
