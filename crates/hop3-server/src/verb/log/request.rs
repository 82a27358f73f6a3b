// SPDX-License-Identifier: Apache-2.0
//! Lines of the proxy's access log, the newest first, read backwards so that a large log costs what is asked for.

use hop3_core::api::{LogEntry, LogOrigin};
use hop3_core::layout::Layout;
use serde::Deserialize;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const BLOCK: u64 = 256 << 10;
/// As many earlier files are looked at as the proxy keeps.
const OLD_FILES: u32 = 4;
/// Each of the proxy's threads writes its lines when it has gathered some: one may follow others that are this much newer.
const LATE_MS: u64 = 2_000;

/// What a line says, as far as it is shown. Of a request, or of a connection that was no HTTP.
#[derive(Deserialize)]
struct Line {
    time: String,
    service: String,
    client: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    entry: Option<String>,
    #[serde(default)]
    ended: Option<String>,
    bytes_out: u64,
    ms: f64,
    #[serde(default)]
    upstream: Option<String>,
}

/// The last `wanted` requests to a service, in the order of time; of the present file those before `end`.
pub(super) fn newest(
    layout: &Layout,
    service: &str,
    wanted: usize,
    (since_ms, end): (Option<u64>, u64),
) -> io::Result<Vec<LogEntry>> {
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let current = layout.request_log();
    let old = (1..=OLD_FILES).map(|age| current.with_extension(format!("jsonl.{age}")));
    let lines = Lines::of(service);
    let mut entries: Vec<LogEntry> = Vec::new();
    // Nothing before this is wanted any more.
    let mut floor = since_ms.unwrap_or(0);
    let ends = std::iter::once(end).chain(std::iter::repeat(u64::MAX));
    for (path, end) in std::iter::once(current.clone()).chain(old).zip(ends) {
        let is_over = backwards(&path, end, |line| {
            let Some(entry) = lines.entry(line) else { return false };
            let is_over = entry.time_ms + LATE_MS < floor;
            if entry.time_ms >= floor {
                entries.push(entry);
                if entries.len() == wanted {
                    floor = entries.iter().map(|entry| entry.time_ms).min().unwrap_or(floor);
                }
            }
            is_over
        });
        match is_over {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    entries.reverse();
    entries.sort_by_key(|entry| entry.time_ms);
    Ok(entries.split_off(entries.len().saturating_sub(wanted)))
}

/// Finds the lines of one service.
pub(super) struct Lines {
    service: String,
    mark: String,
}

impl Lines {
    pub(super) fn of(service: &str) -> Lines {
        // The proxy writes a service's name the way JSON does, so that most other lines need not be parsed.
        let mark = format!("\"service\":{},", serde_json::Value::from(service));
        Lines { service: service.to_owned(), mark }
    }

    pub(super) fn entry(&self, line: &[u8]) -> Option<LogEntry> {
        let text = std::str::from_utf8(line).ok().filter(|text| text.contains(&self.mark))?;
        let line: Line =
            serde_json::from_str(text).ok().filter(|line: &Line| line.service == self.service)?;
        let time: jiff::Timestamp = line.time.parse().ok()?;
        let upstream = line.upstream.map_or_else(String::new, |upstream| format!(" {upstream}"));
        let Line { ms, bytes_out, client, .. } = line;
        let what = match (line.entry, line.ended) {
            (Some(entry), Some(ended)) => format!("{entry} {ended}"),
            _ => format!("{} {} {}", line.status?, line.method?, line.path?),
        };
        Some(LogEntry {
            time_ms: time.as_millisecond().max(0) as u64,
            origin: LogOrigin::Platform,
            source: "proxy".to_owned(),
            text: format!("{what} {ms} ms {bytes_out} B {client}{upstream}"),
        })
    }
}

/// Gives each whole line before `end`, the last first, until `take` has enough; tells whether it had.
fn backwards(path: &Path, end: u64, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
    let file = File::open(path)?;
    let mut end = file.metadata()?.len().min(end);
    // The beginning of what was read before, whose own beginning lies further ahead in the file.
    let mut rest = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = vec![0; (end - start) as usize];
        file.read_exact_at(&mut block, start)?;
        block.extend_from_slice(&rest);
        let whole = if start == 0 {
            0
        } else {
            block.iter().position(|b| *b == b'\n').map_or(block.len(), |at| at + 1)
        };
        for line in block[whole..].split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty()) {
            if take(line) {
                return Ok(true);
            }
        }
        block.truncate(whole);
        rest = block;
        end = start;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_newest_lines_of_one_service_are_found_over_blocks_and_files() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        let path = layout.request_log();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let line = |number: u64, service: &str| {
            let padding = "x".repeat(997);
            format!(
                "{{\"time\":\"2026-01-01T00:00:{:02}Z\",\"id\":\"i\",\"service\":\"{service}\",\"client\":\"::1\",\
                 \"method\":\"GET\",\"path\":\"/{number}\",\"agent\":\"{padding}\",\"status\":200,\"bytes_out\":1,\"ms\":1.5}}\n",
                number / 1000 % 60
            )
        };
        let part = |range: std::ops::Range<u64>| {
            range.map(|n| line(n, if n % 10 == 0 { "shop" } else { "other" })).collect::<String>()
        };
        fs::write(path.with_extension("jsonl.1"), part(0..1000)).unwrap();
        fs::write(&path, part(1000..3000)).unwrap();
        let paths = |wanted, since| {
            let found = newest(&layout, "shop", wanted, (since, u64::MAX)).unwrap();
            found.iter().map(|entry| entry.text.split(' ').nth(2).unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(paths(3, None), ["/2970", "/2980", "/2990"]);
        let all: Vec<_> = (0..300).map(|n| format!("/{}", n * 10)).collect();
        assert_eq!(paths(1_000_000, None), all);
        let since: jiff::Timestamp = "2026-01-01T00:00:02Z".parse().unwrap();
        assert_eq!(paths(1_000_000, Some(since.as_millisecond() as u64)), all[200..]);
        // Another thread's lines, handed over late.
        fs::write(&path, part(2980..3000) + &part(1990..2000)).unwrap();
        assert_eq!(paths(1_000_000, Some(since.as_millisecond() as u64)), ["/2980", "/2990"]);
        assert_eq!(paths(1, None), ["/2990"]);
        let connection = "{\"time\":\"2026-01-01T00:00:03Z\",\"service\":\"shop\",\"client\":\"::1\",\"protocol\":\"TCP\",\
             \"entry\":\"tcp:5432\",\"ended\":\"closed\",\"bytes_in\":1,\"bytes_out\":2,\"ms\":3.0,\"upstream\":\"shop/db.v1.1\"}\n";
        fs::write(&path, connection).unwrap();
        let found = newest(&layout, "shop", 1, (None, u64::MAX)).unwrap();
        assert_eq!(found[0].text, "tcp:5432 closed 3 ms 2 B ::1 shop/db.v1.1");
        assert!(newest(&layout, "nobody", 5, (None, u64::MAX)).unwrap().is_empty());
        assert!(newest(&Layout::new("/nowhere"), "shop", 5, (None, u64::MAX)).unwrap().is_empty());
    }
}
