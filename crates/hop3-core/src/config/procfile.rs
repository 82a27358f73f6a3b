// SPDX-License-Identifier: Apache-2.0
//! The `Procfile`: one `name: command` a line, blank lines and lines that begin with `#` skipped.
//!
//! Line ends of either kind are fine; a command is taken as written, without the blanks around it.

use super::complaint::at;
use super::process::Entry;
use crate::problem::{Kind, Problem, Span};

/// Larger Procfiles are a mistake or an attack.
const MAX_BYTES: usize = 64 << 10;

pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Entry>, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem::new(
            Kind::Config,
            "procfile.too-large",
            format!("{file} is larger than 64 KiB"),
        )
        .hint("put long commands into a script and name the script here")
        .span(Span { file: file.to_owned(), line: 1, column: 1, excerpt: String::new() }));
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let Some(entry) = parse_line(&at(file, text, start), line)? else { continue };
        refuse_duplicate(&entries, &entry)?;
        entries.push(entry);
    }
    Ok(entries)
}

/// Reads one line; `span` is its beginning.
fn parse_line(span: &Span, line: &str) -> Result<Option<Entry>, Problem> {
    let place = |bytes: usize| Span { column: line[..bytes].chars().count() as u32 + 1, ..span.clone() };
    let indent = line.len() - line.trim_start().len();
    if line.trim().is_empty() || line.trim_start().starts_with('#') {
        return Ok(None);
    }
    if let Some((i, c)) = line.char_indices().find(|(_, c)| c.is_control() && *c != '\t') {
        return Err(refusal(
            "control-character",
            format!("a line holds the character U+{:04X}", u32::from(c)),
        )
        .hint("save the Procfile as plain UTF-8 text")
        .span(place(i)));
    }
    let Some((name, command)) = line.split_once(':') else {
        return Err(refusal("missing-colon", "a line has no colon")
            .hint("each line is \"name: command\", for example \"web: gunicorn app:app\"")
            .span(place(indent)));
    };
    let name = name.trim();
    if command.trim().is_empty() {
        return Err(refusal("empty-command", format!("the process \"{name}\" has no command"))
            .hint(format!("write the command after the colon, or remove the line \"{name}:\""))
            .span(place(line.trim_end().len())));
    }
    Ok(Some(Entry { name: name.to_owned(), command: command.trim().to_owned(), span: place(indent) }))
}

fn refuse_duplicate(entries: &[Entry], entry: &Entry) -> Result<(), Problem> {
    let Some(first) = entries.iter().find(|e| e.name == entry.name) else { return Ok(()) };
    if entry.name == "cron" {
        return Ok(());
    }
    Err(refusal("duplicate", format!("the process \"{}\" is there twice", entry.name))
        .detail(format!("the first one is in line {}", first.span.line))
        .hint("remove one of the two lines, or give it another name")
        .span(entry.span.clone()))
}

fn refusal(code: &str, title: impl Into<String>) -> Problem {
    Problem::new(Kind::Config, &format!("procfile.{code}"), title)
}
