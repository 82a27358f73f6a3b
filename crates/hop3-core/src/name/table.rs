// SPDX-License-Identifier: Apache-2.0
//! `TableName`: the name of a table, alone or after that of its schema, as people write it in SQL: plain words are read
//! in lower case, what stands between double quotes as it is.

use super::{TableName, quoted};
use crate::problem::{Kind, Problem};

/// What databases keep of a name.
const LENGTH: usize = 63;

impl TableName {
    /// The schema, where one is named, and the table.
    pub fn parts(&self) -> (Option<String>, String) {
        let mut parts = split(self.as_str()).expect("it was looked at when it was made");
        let table = parts.pop().expect("a name has a part");
        (parts.pop(), table)
    }
}

pub(super) fn parse_table_name(text: &str) -> Result<(), Problem> {
    split(text).map(drop).map_err(|why| {
        let title = format!("{} is not the name of a table: {why}", quoted(text));
        Problem::new(Kind::User, "addon.bad-table", title)
            .hint("names are written as in SQL: orders, shop.orders, '\"Order Lines\"'")
    })
}

fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = part(rest)?;
        if part.is_empty() || part.len() > LENGTH {
            return Err("each part has 1 to 63 bytes");
        }
        parts.push(part);
        match after.strip_prefix('.') {
            Some(more) if parts.len() == 1 => rest = more,
            Some(_) => return Err("it has a schema and a table at most"),
            None if after.is_empty() => return Ok(parts),
            None => return Err("other characters stand between double quotes"),
        }
    }
}

/// The first part, and what comes after it.
fn part(text: &str) -> Result<(String, &str), &'static str> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
        let end = text.find(|c| !is_plain(c)).unwrap_or(text.len());
        if text.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
            return Err("it begins with a letter or _");
        }
        return Ok((text[..end].to_ascii_lowercase(), &text[end..]));
    };
    let mut name = String::new();
    loop {
        let end = rest.find('"').ok_or("a double quote is missing")?;
        name += &rest[..end];
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            // Two of them are one of the name's.
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None if name.contains(char::is_control) => return Err("it has a control character"),
            None => return Ok((name, rest)),
        }
    }
}
