// SPDX-License-Identifier: Apache-2.0
//! The dotenv syntax of `config import`, and its inverse for `config list --show`.
//!
//! `KEY=value`, `export KEY=value`, comments, `'literal'` and `"escaped"` values over several lines. Nothing is ever
//! expanded: `$HOME` and backquotes are characters. What `write` gives, `parse` reads back byte for byte.

use hop3_core::name::EnvKey;
use hop3_core::problem::Span;
use hop3_core::{Kind, Problem};
use std::collections::BTreeMap;

/// Reads every assignment; of two with the same key the later counts.
pub(crate) fn parse(file: &str, text: &str) -> Result<BTreeMap<EnvKey, String>, Problem> {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut reader = Reader { file, text, at: start };
    let mut variables = BTreeMap::new();
    while let Some((key, value)) = reader.assignment()? {
        variables.insert(key, value);
    }
    Ok(variables)
}

/// One assignment, quoted as it must be.
pub(crate) fn write(key: &EnvKey, value: &str) -> String {
    let is_plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "_./:@%+,-=".contains(c));
    if is_plain {
        return format!("{key}={value}\n");
    }
    if !value.contains(['\'', '\r']) {
        return format!("{key}='{value}'\n");
    }
    let mut quoted = String::new();
    for c in value.chars() {
        match c {
            '"' | '\\' | '$' | '`' => quoted.extend(['\\', c]),
            '\r' => quoted += "\\r",
            c => quoted.push(c),
        }
    }
    format!("{key}=\"{quoted}\"\n")
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn assignment(&mut self) -> Result<Option<(EnvKey, String)>, Problem> {
        self.skip_blank_lines();
        if self.rest().is_empty() {
            return Ok(None);
        }
        if let Some(after) = self.rest().strip_prefix("export").filter(|a| a.starts_with([' ', '\t'])) {
            self.at = self.text.len() - after.trim_start_matches([' ', '\t']).len();
        }
        let line = self.rest().lines().next().unwrap_or("");
        let Some(equals) = line.find('=') else {
            return Err(self.refuse(self.at, "this line has no =", "write each variable as KEY=value"));
        };
        let key = line[..equals].trim_end();
        let key: EnvKey =
            key.parse().map_err(|p: Problem| p.span(Span::at(self.file, self.text, self.at)))?;
        self.at += equals + 1;
        self.skip_spaces();
        let value = self.value()?;
        Ok(Some((key, value)))
    }

    fn value(&mut self) -> Result<String, Problem> {
        let opened = self.at;
        let value = match self.rest().chars().next() {
            Some('\'') => self.literal()?,
            Some('"') => self.escaped()?,
            _ => return self.bare(),
        };
        self.skip_spaces();
        let line = self.rest().lines().next().unwrap_or("");
        if !line.is_empty() && !line.starts_with('#') {
            return Err(self.refuse(self.at, "something follows the closing quote", "quote the whole value"));
        }
        self.at += line.len();
        self.checked(value, opened)
    }

    /// Up to the end of the line or ` #`.
    fn bare(&mut self) -> Result<String, Problem> {
        let opened = self.at;
        let line = self.rest().lines().next().unwrap_or("");
        self.at += line.len();
        let comment = line
            .char_indices()
            .find(|(i, c)| *c == '#' && (*i == 0 || line[..*i].ends_with([' ', '\t'])))
            .map_or(line.len(), |(i, _)| i);
        self.checked(line[..comment].trim_end().to_owned(), opened)
    }

    fn literal(&mut self) -> Result<String, Problem> {
        let inside = &self.rest()[1..];
        let Some(end) = inside.find('\'') else { return Err(self.unclosed("'")) };
        self.at += end + 2;
        Ok(inside[..end].to_owned())
    }

    fn escaped(&mut self) -> Result<String, Problem> {
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match (c, if c == '\\' { chars.next().map(|(_, next)| next) } else { None }) {
                ('"', _) => {
                    self.at += i + 1;
                    return Ok(value);
                }
                ('\\', Some('n')) => value.push('\n'),
                ('\\', Some('r')) => value.push('\r'),
                ('\\', Some('t')) => value.push('\t'),
                ('\\', Some(next @ ('"' | '\\' | '$' | '`'))) => value.push(next),
                ('\\', Some(next)) => value.extend(['\\', next]),
                (c, _) => value.push(c),
            }
        }
        Err(self.unclosed("\""))
    }

    fn checked(&self, value: String, at: usize) -> Result<String, Problem> {
        if value.contains('\0') {
            return Err(self.refuse(at, "the value has a NUL byte, which no environment can hold", ""));
        }
        Ok(value)
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    fn skip_blank_lines(&mut self) {
        loop {
            self.at = self.text.len() - self.rest().trim_start().len();
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().lines().next().map_or(0, str::len);
        }
    }

    fn unclosed(&self, quote: &str) -> Problem {
        let hint = format!("close it with {quote}, or quote the value with the other kind of quote");
        self.refuse(self.at, "this quote is never closed", &hint)
    }

    fn refuse(&self, at: usize, why: &str, hint: &str) -> Problem {
        Problem::new(Kind::Config, "config.bad-import", format!("{} cannot be imported: {why}", self.file))
            .hint(hint)
            .span(Span::at(self.file, self.text, at))
    }
}

#[cfg(test)]
mod tests;
