// SPDX-License-Identifier: Apache-2.0
//! `Problem`: the only error a user ever reads.
//!
//! Code, sentence, facts, hint, and where in which file. The kind says who must act and decides HTTP status and
//! exit code, in the one table below. Internal causes go to the operator's log and are never part of this type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The author of the app: its code, its build, its arguments.
    User,
    /// The author of a configuration file.
    Config,
    /// The thing named does not exist.
    NotFound,
    /// The state does not allow it now.
    Conflict,
    /// The caller may not.
    Denied,
    /// Something Hop3 needs is away; trying again may help.
    Unavailable,
    /// An external plugin failed.
    Plugin,
    /// Hop3 itself is wrong.
    Bug,
}

impl Kind {
    /// HTTP status (RFC 9110) of an API answer of this kind.
    pub fn http_status(self) -> u16 {
        self.row().0
    }

    /// Exit status of a command that ends with this kind.
    pub fn exit_code(self) -> u8 {
        self.row().1
    }

    fn row(self) -> (u16, u8) {
        match self {
            Kind::User => (422, 1),
            Kind::Config => (422, 2),
            Kind::NotFound => (404, 3),
            Kind::Conflict => (409, 4),
            Kind::Denied => (403, 5),
            Kind::Unavailable => (503, 6),
            Kind::Plugin => (502, 7),
            Kind::Bug => (500, 70),
        }
    }
}

/// A place in a file the user wrote. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    pub file: String,
    pub line: u32,
    pub column: u32,
    /// The text of that line, for the excerpt.
    pub excerpt: String,
}

impl Span {
    /// Finds line and column of a byte offset in `text`. The excerpt does nothing to a terminal.
    pub fn at(file: &str, text: &str, offset: usize) -> Span {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let start = text[..offset].rfind('\n').map_or(0, |i| i + 1);
        let line = text[start..].lines().next().unwrap_or("");
        let excerpt = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Span {
            file: file.to_owned(),
            line: text[..start].matches('\n').count() as u32 + 1,
            column: text[start..offset].chars().count() as u32 + 1,
            excerpt,
        }
    }
}

/// What strangers wrote does nothing to the terminal it is told on.
fn tame(text: String) -> String {
    let is_harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_harmful) {
        return text;
    }
    text.replace("\r\n", "\n").chars().map(|c| if is_harmful(c) { ' ' } else { c }).collect()
}

/// An error told to a user. Its texts do nothing to a terminal, whatever they repeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Stable dotted word, for example `build.command-failed`.
    pub code: String,
    pub kind: Kind,
    /// One sentence, present tense, no jargon.
    pub title: String,
    /// The facts: command, exit status, last lines of output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to do next, as a command where possible.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

impl Problem {
    pub fn new(kind: Kind, code: &str, title: impl Into<String>) -> Problem {
        Problem {
            code: code.to_owned(),
            kind,
            title: tame(title.into()),
            detail: String::new(),
            hint: String::new(),
            span: None,
        }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = tame(detail.into());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = tame(hint.into());
        self
    }

    #[must_use]
    pub fn span(mut self, span: Span) -> Problem {
        self.span = Some(span);
        self
    }

    /// The text a user reads, without colour. Every part is on lines of its own.
    pub fn render(&self) -> String {
        let mut out = format!("error[{}]: {}\n", self.code, self.title);
        if let Some(span) = &self.span {
            out += &format!("  --> {}:{}:{}\n", span.file, span.line, span.column);
            out += &format!("   | {}\n   | {}^\n", span.excerpt, " ".repeat(span.column as usize - 1));
        }
        for line in self.detail.lines() {
            out += &format!("  {line}\n");
        }
        for (i, line) in self.hint.lines().enumerate() {
            out += &format!("{} {line}\n", if i == 0 { "hint:" } else { "     " });
        }
        out
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render().trim_end())
    }
}

impl std::error::Error for Problem {}
