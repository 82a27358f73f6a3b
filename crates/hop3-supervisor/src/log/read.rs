// SPDX-License-Identifier: Apache-2.0
//! Reads a log from its end, so that the newest lines of a large log cost little.

use super::{OLD_FILES, path};
use crate::protocol::LogRequest;
use hop3_core::driver::LogLine;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const CHUNK_BYTES: u64 = 64 * 1024;

/// An answer has at most so many lines, whatever is asked.
const LINES_MAX: usize = 20_000;

/// The newest lines that match, oldest first.
pub(super) fn newest(directory: &Path, request: &LogRequest) -> io::Result<Vec<LogLine>> {
    let wanted = request.last.unwrap_or(LINES_MAX).min(LINES_MAX);
    let mut lines = Vec::new();
    for age in 0..=OLD_FILES {
        let file = match File::open(path(directory, age)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            file => file?,
        };
        let is_more_wanted = read_backwards(&file, &mut |record| {
            let Some(line) = parse(record) else { return true };
            if request.since_ms.is_some_and(|since| line.time_ms < since) {
                return false;
            }
            if lines.len() < wanted && is_wanted(&line.instance, request.name.as_deref()) {
                lines.push(line);
            }
            lines.len() < wanted
        })?;
        if !is_more_wanted {
            break;
        }
    }
    lines.reverse();
    Ok(lines)
}

fn is_wanted(name: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| name == wanted || name.split('.').next() == Some(wanted))
}

pub(super) fn parse(record: &str) -> Option<LogLine> {
    let (time_ms, rest) = record.split_once(' ')?;
    let (name, text) = rest.split_once(' ')?;
    Some(LogLine { time_ms: time_ms.parse().ok()?, instance: name.to_owned(), text: text.to_owned() })
}

/// Gives the records from the last to the first until `each` returns false; tells whether it never did.
fn read_backwards(file: &File, each: &mut dyn FnMut(&str) -> bool) -> io::Result<bool> {
    let mut end = file.metadata()?.len();
    // The beginning of a record whose end was in the chunk read before.
    let mut tail: Vec<u8> = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES);
        let mut chunk = vec![0; (end - start) as usize];
        file.read_exact_at(&mut chunk, start)?;
        chunk.extend_from_slice(&tail);
        let whole_from = match chunk.iter().position(|b| *b == b'\n') {
            _ if start == 0 => 0,
            Some(newline) => newline + 1,
            None => chunk.len(),
        };
        for record in chunk[whole_from..].rsplit(|b| *b == b'\n').filter(|record| !record.is_empty()) {
            if !each(&String::from_utf8_lossy(record)) {
                return Ok(false);
            }
        }
        chunk.truncate(whole_from);
        tail = chunk;
        end = start;
    }
    Ok(true)
}
