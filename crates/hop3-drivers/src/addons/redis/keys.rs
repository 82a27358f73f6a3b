// SPDX-License-Identifier: Apache-2.0
//! How many keys there are. The file of data that a backup is says itself, before the first key of each database, how
//! many the server had at the moment it is of. What comes after the first key is not looked at: of a server with
//! several databases the first is known.
//!
//! Keys with an end go by themselves, in what was restored too; only those without one are counted.

use super::Redis;
use hop3_core::Problem;
use hop3_core::addon::{Held, HeldUnit, WantedAddon};
use hop3_core::driver::{Addon, Counts};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// So much of the data is kept to be looked at. Functions of an app, which come first, may be as long.
const HEAD: usize = 4 * 1024 * 1024;

impl Counts for Redis {
    fn backup_counted(&self, addon: &WantedAddon, to: &mut dyn Write) -> Result<Option<Held>, Problem> {
        let mut head = Head { to, bytes: Vec::new() };
        self.backup(addon, None, &mut head)?;
        // Where any key may be forgotten there is nothing to be compared.
        let forgets = addon.settings.get("eviction").is_some_and(|policy| policy.starts_with("allkeys"));
        let parts = parts(&head.bytes).filter(|_| !forgets);
        Ok(parts.map(|parts| Held { unit: HeldUnit::Keys, parts }))
    }

    fn count(&self, addon: &WantedAddon) -> Result<Option<Held>, Problem> {
        let answer = self.ask(&addon.server, "INFO keyspace\n")?;
        let parts = answer.lines().filter_map(database).collect();
        Ok(Some(Held { unit: HeldUnit::Keys, parts }))
    }
}

/// `db0:keys=101,expires=1,avg_ttl=0`
fn database(line: &str) -> Option<(String, u64)> {
    let (number, fields) = line.trim().strip_prefix("db")?.split_once(':')?;
    let field = |name: &str| -> Option<u64> {
        fields.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    };
    Some((number.to_owned(), field("keys")?.saturating_sub(field("expires")?)))
}

/// Passes data on and keeps their beginning.
struct Head<'a> {
    to: &'a mut dyn Write,
    bytes: Vec<u8>,
}

impl Write for Head<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        let missing = HEAD.saturating_sub(self.bytes.len()).min(written);
        self.bytes.extend_from_slice(&bytes[..missing]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What stands before the keys: `REDIS0010` or `VALKEY080`, then what each byte announces.
const MAGIC: usize = 9;
const FUNCTION: u8 = 0xf5;
const AUXILIARY: u8 = 0xfa;
const SIZES: u8 = 0xfb;
const DATABASE: u8 = 0xfe;
const END: u8 = 0xff;

/// The first database with its keys; nothing when the data begin otherwise than is known here.
fn parts(data: &[u8]) -> Option<BTreeMap<String, u64>> {
    let magic = data.get(..MAGIC)?;
    if !magic.starts_with(b"REDIS") && !magic.starts_with(b"VALKEY") {
        return None;
    }
    let mut reader = Reader { left: data.get(MAGIC..)? };
    let mut number = 0;
    loop {
        match reader.byte()? {
            AUXILIARY => {
                reader.text()?;
                reader.text()?;
            }
            FUNCTION => reader.text()?,
            DATABASE => number = reader.length()?,
            SIZES => {
                let (keys, expiring) = (reader.length()?, reader.length()?);
                return Some(BTreeMap::from([(number.to_string(), keys.saturating_sub(expiring))]));
            }
            // Without a key there is no database.
            END => return Some(BTreeMap::from([("0".to_owned(), 0)])),
            _ => return None,
        }
    }
}

struct Reader<'d> {
    left: &'d [u8],
}

impl Reader<'_> {
    fn skip(&mut self, count: u64) -> Option<()> {
        self.left = self.left.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.left.first()?;
        self.skip(1).map(|()| byte)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        let number = self.left.get(..bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        self.skip(bytes as u64).map(|()| number)
    }

    /// The two highest bits of its first byte say how long a length is.
    fn length(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let low = u64::from(first & 0x3f);
        match (first >> 6, first) {
            (0, _) => Some(low),
            (1, _) => Some(low << 8 | u64::from(self.byte()?)),
            (2, 0x80) => self.number(4),
            (2, 0x81) => self.number(8),
            _ => None,
        }
    }

    /// A text, or a number or compressed text in its place.
    fn text(&mut self) -> Option<()> {
        match *self.left.first()? {
            0xc0 => self.skip(2),
            0xc1 => self.skip(3),
            0xc2 => self.skip(5),
            0xc3 => {
                self.skip(1)?;
                let (compressed, _whole) = (self.length()?, self.length()?);
                self.skip(compressed)
            }
            _ => {
                let length = self.length()?;
                self.skip(length)
            }
        }
    }
}

#[cfg(test)]
mod tests;
