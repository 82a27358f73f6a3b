// SPDX-License-Identifier: Apache-2.0
//! `Edit`: what is changed about a head that was written by us, applied in one pass.
//!
//! Invariant: names and values come from a checked policy or from the proxy, and a line end in either is dropped with
//! its line, so that no edit adds a line that was not meant.

use crate::buffer::Buffer;
use crate::http1::forward::Request;
use hop3_core::policy::HeaderChange;

#[derive(Default)]
pub(crate) struct Edit {
    /// Path and query.
    target: Option<String>,
    remove: Vec<String>,
    set: Vec<(String, String)>,
}

impl Edit {
    pub(super) fn is_none(&self) -> bool {
        self.target.is_none() && self.remove.is_empty() && self.set.is_empty()
    }

    pub(super) fn target(&mut self, target: String) {
        self.target = Some(target);
    }

    /// The path is another one.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.target.is_some()
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.remove.push(name.to_owned());
    }

    pub(super) fn removes(&self, name: &str) -> bool {
        self.remove.iter().any(|other| other.eq_ignore_ascii_case(name))
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.set.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn headers(&mut self, change: &HeaderChange) {
        self.remove.extend(change.remove.iter().cloned());
        self.set.extend(change.set.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Rewrites a request's head, and what is known of the places in it.
    pub(super) fn apply(self, request: &mut Request, head: &mut Buffer) {
        if self.is_none() {
            return;
        }
        let mut out = Buffer::default();
        let to = out.open();
        to.extend_from_slice(&head[..request.path.start]);
        let start = to.len();
        match &self.target {
            Some(target) => to.extend_from_slice(target.as_bytes()),
            None => to.extend_from_slice(&head[request.path.clone()]),
        }
        let moved = to.len() as isize - request.path.end as isize;
        let rest = &head[request.path.end..];
        let first = line_end(rest);
        to.extend_from_slice(&rest[..first]);
        self.lines(&rest[first..], to);
        request.path = start..(request.path.end as isize + moved) as usize;
        // `Host` is the first line of a head of ours, and stays so.
        let shift = |place: usize| (place as isize + moved) as usize;
        request.host = shift(request.host.start)..shift(request.host.end);
        *head = out;
    }

    /// Copies header lines, changed, up to and with the empty one.
    fn lines(&self, mut rest: &[u8], to: &mut Vec<u8>) {
        while !rest.is_empty() && !rest.starts_with(b"\r\n") {
            let (line, next) = rest.split_at(line_end(rest));
            if !self.drops(line) {
                to.extend_from_slice(line);
            }
            rest = next;
        }
        for (name, value) in &self.set {
            push(to, name, value);
        }
        to.extend_from_slice(rest);
    }

    fn drops(&self, line: &[u8]) -> bool {
        let name = name_of(line);
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        self.remove.iter().any(|other| is(other)) || self.set.iter().any(|(other, _)| is(other))
    }
}

/// Changes the response head that begins at `from` and is the end of `out`, or is followed by body.
pub(super) fn response(out: &mut Vec<u8>, from: usize, edit: &Edit, lines: &str) {
    let head = out.split_off(from);
    let first = line_end(&head);
    out.extend_from_slice(&head[..first]);
    out.extend_from_slice(lines.as_bytes());
    edit.lines(&head[first..], out);
}

pub(super) fn push(to: &mut Vec<u8>, name: &str, value: &str) {
    if name.bytes().chain(value.bytes()).any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return;
    }
    crate::http1::header::push_line(to, name, value.as_bytes());
}

/// The value of the first line of that name in a head.
pub(super) fn value<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    values(head, name).next()
}

/// The values of all lines of that name in a head.
pub(super) fn values<'a>(head: &'a [u8], name: &str) -> impl Iterator<Item = &'a str> {
    values_of(&head[line_end(head)..], name)
}

/// All lines of these names have values that are text, which the others here pass over when they are none.
pub(super) fn are_text(head: &[u8], names: &[&str]) -> bool {
    let named = |line: &&[u8]| names.iter().any(|name| name_of(line).eq_ignore_ascii_case(name.as_bytes()));
    each(&head[line_end(head)..]).filter(named).all(|line| std::str::from_utf8(line).is_ok())
}

/// The value of the first of these lines, which have no first line of a message before them.
pub(super) fn line_value<'a>(lines: &'a [u8], name: &str) -> Option<&'a str> {
    values_of(lines, name).next()
}

fn values_of<'a>(lines: &'a [u8], name: &str) -> impl Iterator<Item = &'a str> {
    let of_name = each(lines).filter(move |line| name_of(line).eq_ignore_ascii_case(name.as_bytes()));
    of_name.filter_map(move |line| std::str::from_utf8(line.get(name.len() + 1..)?).ok().map(str::trim))
}

/// Header lines up to the empty one.
fn each(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if rest.is_empty() || rest.starts_with(b"\r\n") {
            return None;
        }
        let (line, next) = rest.split_at(line_end(rest));
        rest = next;
        Some(line)
    })
}

/// The lines of a response that are about what it says, not about how it comes.
pub(super) fn kept_lines(head: &[u8]) -> Vec<u8> {
    const DROPPED: &[&str] = &["age", "connection", "content-length", "keep-alive", "transfer-encoding"];
    let is_kept =
        |line: &&[u8]| !DROPPED.iter().any(|name| name_of(line).eq_ignore_ascii_case(name.as_bytes()));
    each(&head[line_end(head)..]).filter(is_kept).flatten().copied().collect()
}

fn name_of(line: &[u8]) -> &[u8] {
    line.split(|b| *b == b':').next().unwrap_or_default()
}

/// After the next line feed.
fn line_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |place| place + 1)
}
