// SPDX-License-Identifier: Apache-2.0
//! Errors of the TOML and JSON readers, told as problems that point into the user's file.

use crate::problem::{Kind, Problem, Span};
use std::ops::Range;

/// The place of a byte offset, its line cut short.
pub(super) fn at(file: &str, text: &str, offset: usize) -> Span {
    let span = Span::at(file, text, offset);
    let excerpt = match span.column {
        1..=120 => span.excerpt.chars().take(160).collect(),
        _ => String::new(),
    };
    Span { excerpt, ..span }
}

/// A document that is not TOML.
pub(super) fn syntax(file: &str, text: &str, error: &toml::de::Error) -> Problem {
    Problem::new(Kind::Config, "config.syntax", format!("{file} is not valid TOML"))
        .detail(error.message())
        .span(at(file, text, start(error)))
}

/// TOML that does not say what a `hop3.toml` may say.
pub(super) fn meaning(file: &str, text: &str, error: &toml::de::Error) -> Problem {
    let span = at(file, text, start(error));
    let message = error.message();
    if message.starts_with("unknown field") {
        let key = error.span().map_or("", |range| &text[range]);
        return unknown_key(file, key, message).span(span);
    }
    let (code, title) = match message {
        m if m.starts_with("missing field") => ("config.missing-key", "a key is missing"),
        m if m.starts_with("invalid type") => ("config.wrong-type", "a value has the wrong type"),
        _ => ("config.bad-value", "a value cannot be used"),
    };
    Problem::new(Kind::Config, code, title).detail(message).span(span)
}

/// serde names the valid keys between backquotes, after the word "expected".
fn unknown_key(file: &str, key: &str, message: &str) -> Problem {
    let key: String = key.trim_matches(['"', '\'']).chars().filter(|c| !c.is_control()).take(60).collect();
    let valid: Vec<&str> = message
        .rsplit_once("expected")
        .map(|(_, list)| list.split('`').skip(1).step_by(2).collect())
        .unwrap_or_default();
    let problem = Problem::new(
        Kind::Config,
        "config.unknown-key",
        format!("{file} has no key \"{key}\" at this place"),
    )
    .detail(format!("valid keys: {}", valid.join(", ")));
    match nearest(&key, &valid) {
        Some(name) => problem.hint(format!("did you mean \"{name}\"?")),
        None => problem.hint(format!("remove the key \"{key}\", or move it to the table it belongs to")),
    }
}

/// The valid word a typo was probably meant to be.
pub(super) fn nearest<'a>(typed: &str, valid: &[&'a str]) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).clamp(1, 3);
    valid
        .iter()
        .map(|word| (strsim::damerau_levenshtein(typed, word), *word))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, word)| word)
}

fn start(error: &toml::de::Error) -> usize {
    error.span().map_or(0, |Range { start, .. }| start)
}
