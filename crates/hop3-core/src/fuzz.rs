// SPDX-License-Identifier: Apache-2.0
//! What must hold for any bytes, one function for each parser of this crate.
//!
//! The parsers are private, and the programs that search for bytes that break a rule are crates of their own (the
//! folder `fuzz` at the top), so that the rules live here: they are built into those programs (`cfg(fuzzing)`) and into
//! the tests, which try them on what is known to be difficult. The product has none of it.

#[cfg(test)]
mod tests;

pub use crate::config::fuzz::{app_json, cron_line, hop3_toml, policy_value, procfile};

use crate::name::{AppName, Domain, DomainPath, EnvKey, ProcessName};
use crate::policy::{Net, PasswordHash, PathPattern, Place, RateKey};
use crate::problem::Problem;
use crate::sleep::parse_time;
use crate::tcp::Ports;
use std::fmt::Debug;
use std::str::FromStr;

/// A problem can be shown: it points into the text, and its words do nothing to a terminal.
pub fn check_problem(problem: &Problem, text: &str) {
    if let Some(span) = &problem.span {
        assert!(span.line >= 1 && span.column >= 1);
        assert!(span.line as usize <= text.matches('\n').count() + 1, "line {} of {text:?}", span.line);
    }
    let shown = problem.render();
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!shown.contains(harmful), "a terminal would obey {shown:?}");
}

/// What was parsed is written as it was read, and read again as the same.
fn check_text<T: FromStr<Err = Problem> + PartialEq + Debug>(
    text: &str,
    write: impl Fn(&T) -> String,
) -> Option<T> {
    match text.parse::<T>() {
        Ok(value) => {
            let written = write(&value);
            assert_eq!(written.parse::<T>().as_ref(), Ok(&value), "{text:?} is written as {written:?}");
            Some(value)
        }
        Err(problem) => {
            check_problem(&problem, text);
            None
        }
    }
}

/// A name is safe wherever names are put.
pub fn name(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    check_text::<AppName>(&text, AppName::to_string);
    check_text::<ProcessName>(&text, ProcessName::to_string);
    check_text::<EnvKey>(&text, EnvKey::to_string);
    check_text::<Domain>(&text, Domain::to_string);
    let of_any = [
        text.parse::<AppName>().map(|name| name.to_string()),
        text.parse::<ProcessName>().map(|name| name.to_string()),
        text.parse::<EnvKey>().map(|name| name.to_string()),
        text.parse::<Domain>().map(|name| name.to_string()),
    ];
    for name in of_any.into_iter().flatten() {
        assert_eq!(name, text);
        assert!(
            !name.is_empty() && name.len() <= 253 && !name.starts_with(['-', '.']) && !name.contains("..")
        );
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.*".contains(&b)), "{name:?}");
    }
    if let Some(place) = check_text::<DomainPath>(&text, DomainPath::to_string) {
        let path = place.path.unwrap_or_else(|| "/".to_owned());
        assert!(path.starts_with('/') && !path.contains("//") && !path.contains("/.."), "{path:?}");
    }
}

/// A value of a policy means what it says in every place where it is written.
pub fn policy_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (text, rest) = text.split_once('\n').unwrap_or((&text, "/x"));
    if let Some(net) = check_text::<Net>(text, Net::to_string) {
        let first = text.split('/').next().and_then(|address| address.parse().ok());
        assert!(first.is_some_and(|first| net.contains(first)), "{text:?} is not in itself");
    }
    check_text::<Ports>(text, Ports::to_string);
    check_text::<RateKey>(text, |key| String::from(key.clone()));
    check_text::<PasswordHash>(text, |hash| String::from(hash.clone()));
    if let Some(pattern) = check_text::<PathPattern>(text, |pattern| String::from(pattern.clone())) {
        if let Some(found) = pattern.rest(rest) {
            assert!(rest.ends_with(found) && (found.is_empty() || found.starts_with('/')));
        }
        let to = pattern.with(rest);
        assert!(to.starts_with('/') && !to.starts_with("//") && !to.starts_with("/\\"), "{to:?}");
    }
    if let Some(place) = check_text::<Place>(text, |place| String::from(place.clone())) {
        let (to, nowhere) = (place.with(rest), place.with(""));
        let site =
            |to: &str| to.split("://").nth(1).map(|rest| rest.split('/').next().unwrap_or("").to_owned());
        match text.starts_with("http") {
            true => assert_eq!(site(&to), site(&nowhere), "{rest:?} leads to another host"),
            false => assert!(to.starts_with('/') && !to.starts_with("//"), "{to:?}"),
        }
    }
    if let Some(seconds) = parse_time(text) {
        assert_eq!(parse_time(&seconds.to_string()), Some(seconds));
    }
}
