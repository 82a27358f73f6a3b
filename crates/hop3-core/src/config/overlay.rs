// SPDX-License-Identifier: Apache-2.0
//! What was set by hand, laid over what the file says: one key of `[proxy]` to one value, as `hop3 proxy set` takes
//! them. The whole is then read by the parser of the file, so that both know the same keys and refuse the same values.

use super::resolve::Place;
use super::{policy, raw};
use crate::policy::{PasswordHash, Policy};
use crate::problem::{Kind, Problem};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Keys as written, dots between tables, and their values.
pub type Assignments = BTreeMap<String, Value>;

/// Keys and values are bounded: they are told back, stored, and read at every change of a route.
const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 64 << 10;

/// Reads `KEY=VALUE`. A value that is none in TOML is text: `canonical-host=example.org` needs no quotes.
///
/// # Errors
/// No `=`, or a key that cannot be one.
pub fn assignment(text: &str) -> Result<(String, Value), Problem> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(
            bad_key("a key with its value is wanted").hint("write KEY=VALUE, for example sticky=true")
        );
    };
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}")).ok();
    let value = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    let value = match value {
        Some(value) => serde_json::to_value(value).unwrap_or(Value::Null),
        None => Value::String(text.split_once('=').map_or("", |(_, value)| value).to_owned()),
    };
    path(key)?;
    Ok((key.to_owned(), value))
}

/// The parts of a key, read as TOML reads them: `error-pages.404`, `basic-auth.users."a.b"`.
fn path(key: &str) -> Result<Vec<String>, Problem> {
    let refuse = || {
        bad_key("this is no key of [proxy]").hint("see the keys with: hop3 proxy show, and in the reference")
    };
    if key.len() > MAX_KEY || key.chars().any(char::is_control) || key.contains(['=', '#', '{', '[']) {
        return Err(refuse());
    }
    let mut table: toml::Table = toml::from_str(&format!("{key} = 0")).map_err(|_| refuse())?;
    let mut parts = Vec::new();
    while let Some((part, inner)) = std::mem::take(&mut table).into_iter().next() {
        parts.push(part);
        if let toml::Value::Table(inner) = inner {
            table = inner;
        }
    }
    Ok(parts)
}

fn bad_key(title: &str) -> Problem {
    Problem::new(Kind::User, "proxy.bad-key", title)
}

/// The policy of the file with assignments laid over it.
///
/// # Errors
/// As for the file; the place is one in the table as it would be.
pub fn overlay(file: &Policy, set: &Assignments) -> Result<Policy, Problem> {
    if set.is_empty() {
        return Ok(file.clone());
    }
    let mut whole = object(file);
    for (key, value) in set {
        if value.to_string().len() > MAX_VALUE {
            return Err(bad_key("this value is too long").detail(key.clone()));
        }
        let path = path(key)?;
        insert(&mut whole, &path, worded(&path, value.clone()));
    }
    const FILE: &str = "hop3.toml with what was set";
    let text = toml::to_string(&serde_json::json!({ "proxy": whole }))
        .map_err(|error| bad_key("these values cannot be used together").detail(error.to_string()))?;
    let document = raw::parse(FILE, &text)?;
    policy::resolve(document.proxy, &Place { file: FILE, text: &text })
}

/// The assignments with each clear password replaced by its hash.
///
/// # Errors
/// A text that is no password.
pub fn without_passwords(set: Assignments) -> Result<Assignments, Problem> {
    let hide = |(key, value): (String, Value)| {
        let place = path(&key)?;
        let value = match place.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["basic-auth", "users", _] => hashed(value)?,
            ["basic-auth", "users"] => hashed_each(value)?,
            ["basic-auth"] => match value {
                Value::Object(mut auth) => {
                    if let Some(users) = auth.remove("users") {
                        auth.insert("users".to_owned(), hashed_each(users)?);
                    }
                    Value::Object(auth)
                }
                other => other,
            },
            _ => value,
        };
        Ok((key, value))
    };
    set.into_iter().map(hide).collect()
}

fn hashed_each(users: Value) -> Result<Value, Problem> {
    let Value::Object(users) = users else { return Ok(users) };
    let each = users.into_iter().map(|(name, password)| Ok((name, hashed(password)?)));
    each.collect::<Result<Map<_, _>, Problem>>().map(Value::Object)
}

fn hashed(value: Value) -> Result<Value, Problem> {
    match value {
        Value::String(text) if !text.starts_with("$argon2id$") => {
            PasswordHash::of(&text).map(|hash| Value::String(hash.as_str().to_owned()))
        }
        Value::Number(digits) => hashed(Value::String(digits.to_string())),
        other => Ok(other),
    }
}

fn object(policy: &Policy) -> Map<String, Value> {
    match serde_json::to_value(policy) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// What can be nothing but text needs no quotes, even where it looks like a number: `response-headers.set.X-A=1`.
fn worded(path: &[String], value: Value) -> Value {
    let is_text = matches!(path.iter().map(String::as_str).collect::<Vec<_>>()[..], [_, "set", _]);
    match value {
        Value::Number(_) | Value::Bool(_) if is_text => Value::String(value.to_string()),
        other => other,
    }
}

fn insert(map: &mut Map<String, Value>, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        map.insert(first.clone(), value);
        return;
    }
    let inner = map.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(inner) = inner {
        insert(inner, rest, value);
    }
}

/// A policy key by key, as it would be set.
pub fn entries(policy: &Policy) -> Assignments {
    let mut found = BTreeMap::new();
    collect("", &object(policy), &mut found);
    found
}

fn collect(prefix: &str, map: &Map<String, Value>, found: &mut Assignments) {
    for (key, value) in map {
        let bare =
            key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') && !key.is_empty();
        let key = if bare { key.clone() } else { format!("{key:?}") };
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(inner) => collect(&key, inner, found),
            value => drop(found.insert(key, value.clone())),
        }
    }
}

#[cfg(test)]
mod tests;
