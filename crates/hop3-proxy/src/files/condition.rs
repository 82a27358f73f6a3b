// SPDX-License-Identifier: Apache-2.0
//! Conditional and partial requests (RFC 9110, 13 and 14): what the client has already, and what it wants.

use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

/// How one version of a file is told from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// With its quotes.
    pub(crate) etag: String,
    pub(crate) modified_secs: i64,
}

/// The request's headers that matter here; empty when absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) if_none_match: String,
    pub(crate) if_modified_since: String,
    pub(crate) if_range: String,
    pub(crate) range: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// First byte and length.
    Range(u64, u64),
    NotModified,
    Unsatisfiable,
}

impl Version {
    /// Time to the nanosecond, size and inode: a deployment that replaces a file changes at least one.
    pub(crate) fn of(stat: &rustix::fs::Stat) -> Version {
        let (secs, nanos) = (stat.st_mtime, stat.st_mtime_nsec);
        let etag = format!("\"{secs:x}-{nanos:x}-{:x}-{:x}\"", stat.st_size, stat.st_ino);
        Version { etag, modified_secs: secs }
    }

    pub(crate) fn last_modified(&self) -> Option<String> {
        let time = Timestamp::from_second(self.modified_secs).ok()?;
        DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
    }

    fn is_in(&self, list: &str) -> bool {
        list.trim() == "*" || list.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.etag)
    }

    fn is_since(&self, date: &str) -> bool {
        let since = DateTimeParser::new().parse_timestamp(date);
        since.is_ok_and(|since| self.modified_secs <= since.as_second())
    }
}

/// Decides what of a file of `size` bytes is sent.
pub(crate) fn part(wanted: &Wanted, version: &Version, size: u64) -> Part {
    let is_known = if wanted.if_none_match.is_empty() {
        !wanted.if_modified_since.is_empty() && version.is_since(&wanted.if_modified_since)
    } else {
        version.is_in(&wanted.if_none_match)
    };
    if is_known {
        return Part::NotModified;
    }
    let is_same = wanted.if_range.is_empty()
        || wanted.if_range == version.etag
        || version.last_modified().is_some_and(|date| date == wanted.if_range);
    if is_same { range(&wanted.range, size) } else { Part::Whole }
}

/// One range is honoured. Several at once are answered whole, which is allowed and cannot be abused.
fn range(header: &str, size: u64) -> Part {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|spec| spec.trim().split_once('-'))
    else {
        return Part::Whole;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= 18;
    if !digits(first) || !digits(last) {
        return Part::Whole;
    }
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => Part::Whole,
        (Ok(first), _) if first >= size => Part::Unsatisfiable,
        (Ok(first), Ok(last)) => Part::Range(first, last.min(size - 1) - first + 1),
        (Ok(first), Err(_)) => Part::Range(first, size - first),
        (Err(_), Ok(0)) => Part::Unsatisfiable,
        (Err(_), Ok(_)) if size == 0 => Part::Unsatisfiable,
        (Err(_), Ok(count)) => Part::Range(size - count.min(size), count.min(size)),
        (Err(_), Err(_)) => Part::Whole,
    }
}
