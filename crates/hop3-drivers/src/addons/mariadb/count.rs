// SPDX-License-Identifier: Apache-2.0
//! How many rows each table has. No second connection can see what a dump sees, and nobody may be kept from writing
//! while there is one: for a backup the rows are counted in the dump itself, on its way. So they are those of the
//! dump's own moment.

use super::{Mariadb, script};
use hop3_core::addon::{Held, HeldUnit, WantedAddon};
use hop3_core::driver::{Addon, Counts};
use hop3_core::{Kind, Problem};
use std::collections::BTreeMap;
use std::io::{self, Write};

impl Counts for Mariadb {
    fn backup_counted(&self, addon: &WantedAddon, to: &mut dyn Write) -> Result<Option<Held>, Problem> {
        let mut rows = Rows::new(to);
        self.backup(addon, None, &mut rows)?;
        Ok(Some(Held { unit: HeldUnit::Rows, parts: rows.parts }))
    }

    /// As the addon's own user: it is his tables.
    fn count(&self, addon: &WantedAddon) -> Result<Option<Held>, Problem> {
        let names = self.names(&addon.server, &script::filled(&addon.database))?;
        let answer = self.host.ask(&self.user(addon, &addon.database), &script::count(&names))?;
        let part = |line: &str| {
            let (name, count) = line.split_once('\t')?;
            Some((super::super::unhex(name)?, count.parse().ok()?))
        };
        let parts = answer.lines().map(part).collect::<Option<_>>().ok_or_else(|| {
            Problem::new(Kind::Unavailable, "addon.client-failed", "mariadb printed what is no count of rows")
        })?;
        Ok(Some(Held { unit: HeldUnit::Rows, parts }))
    }
}

const CREATE: &[u8] = b"CREATE TABLE `";
const INSERT: &[u8] = b"INSERT INTO `";

/// Bodies of triggers and routines stand between these, and may have lines of any kind.
const BODY: &[u8] = b"DELIMITER ;;";
const BODY_END: &[u8] = b"DELIMITER ;";

/// So much of a line says what it is.
const WORDS: usize = 16;

/// Where in a dump we are.
enum At {
    /// In a line; so much of its beginning is known.
    Line(Vec<u8>),
    /// In the name of a table that is made, or gets rows.
    Name {
        name: Vec<u8>,
        gets_rows: bool,
        quoted: bool,
    },
    /// Between the name and the first row; columns may be named.
    Columns {
        quoted: bool,
    },
    Rows {
        depth: u32,
        quoted: bool,
        escaped: bool,
    },
    /// In the rest of a line that does not matter.
    Rest,
}

/// Passes a dump on and counts the rows in it.
struct Rows<'a> {
    to: &'a mut dyn Write,
    parts: BTreeMap<String, u64>,
    table: String,
    at: At,
    in_body: bool,
}

impl Rows<'_> {
    fn new(to: &mut dyn Write) -> Rows<'_> {
        Rows { to, parts: BTreeMap::new(), table: String::new(), at: At::Line(Vec::new()), in_body: false }
    }

    fn byte(&mut self, byte: u8) {
        self.at = match std::mem::replace(&mut self.at, At::Rest) {
            At::Line(line) => self.line(line, byte),
            At::Name { name, gets_rows, quoted } => self.name(name, byte, (gets_rows, quoted)),
            At::Columns { quoted } => match byte {
                b'`' => At::Columns { quoted: !quoted },
                // The last letter of VALUES, or of VALUE.
                b'S' | b'E' if !quoted => At::Rows { depth: 0, quoted: false, escaped: false },
                _ => At::Columns { quoted },
            },
            At::Rows { depth, quoted, escaped } => self.row(byte, depth, (quoted, escaped)),
            At::Rest if byte == b'\n' => At::Line(Vec::new()),
            At::Rest => At::Rest,
        };
    }

    fn line(&mut self, mut line: Vec<u8>, byte: u8) -> At {
        if byte == b'\n' {
            match line.as_slice() {
                BODY => self.in_body = true,
                BODY_END => self.in_body = false,
                _ => {}
            }
            return At::Line(Vec::new());
        }
        line.push(byte);
        let begins = |gets_rows| At::Name { name: Vec::new(), gets_rows, quoted: true };
        match line.as_slice() {
            CREATE if !self.in_body => begins(false),
            INSERT if !self.in_body => begins(true),
            _ if line.len() >= WORDS => At::Rest,
            _ => At::Line(line),
        }
    }

    /// Two back quotes are one of the name's.
    fn name(&mut self, mut name: Vec<u8>, byte: u8, (gets_rows, quoted): (bool, bool)) -> At {
        match (byte, quoted) {
            (b'`', true) => At::Name { name, gets_rows, quoted: false },
            (_, true) | (b'`', false) => {
                name.push(byte);
                At::Name { name, gets_rows, quoted: true }
            }
            (_, false) => {
                self.table = String::from_utf8_lossy(&name).into_owned();
                self.parts.entry(self.table.clone()).or_default();
                if gets_rows { At::Columns { quoted: false } } else { At::Rest }
            }
        }
    }

    fn row(&mut self, byte: u8, depth: u32, (quoted, escaped): (bool, bool)) -> At {
        let rows = |depth, quoted, escaped| At::Rows { depth, quoted, escaped };
        match (byte, quoted) {
            _ if escaped => rows(depth, quoted, false),
            (b'\\', true) => rows(depth, true, true),
            (b'\'', _) => rows(depth, !quoted, false),
            (b'(', false) => {
                if depth == 0 {
                    *self.parts.entry(self.table.clone()).or_default() += 1;
                }
                rows(depth + 1, false, false)
            }
            (b')', false) => rows(depth.saturating_sub(1), false, false),
            (b';', false) => At::Rest,
            _ => rows(depth, quoted, false),
        }
    }
}

impl Write for Rows<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        bytes[..written].iter().for_each(|byte| self.byte(*byte));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests;
