// SPDX-License-Identifier: Apache-2.0
//! Every problem a user can meet, found in the sources: a code is a word of the language we speak with scripts, so
//! its list is reviewed like an API. `UPDATE_EXPECT=1` rewrites docs/src/reference/problems.md.

use super::committed;
use crate::tidy::lexer::{Piece, pieces};
use crate::tidy::{RepoFile, none, rust};
use expect_test::expect_file;
use hop3_core::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// What the sources say about one code.
#[derive(Default)]
struct Entry {
    kinds: BTreeSet<String>,
    titles: BTreeSet<String>,
    crates: BTreeSet<String>,
}

fn problems() -> BTreeMap<String, Entry> {
    let mut found: BTreeMap<String, Entry> = BTreeMap::new();
    // What must hold for any bytes is tried on texts that look like anything.
    let is_rule = |path: &str| path.ends_with("/fuzz.rs") || path.contains("/fuzz/");
    let is_product =
        |file: &&RepoFile| file.path.contains("/src/") && !file.is_test() && !is_rule(&file.path);
    for file in rust().iter().filter(is_product) {
        collect(file, &mut found);
    }
    found
}

fn collect(file: &RepoFile, found: &mut BTreeMap<String, Entry>) {
    let pieces: Vec<_> =
        pieces(file.text()).into_iter().filter(|piece| !matches!(piece, Piece::Comment(_))).collect();
    // A file that puts one word before all of its codes: `format!("procfile.{code}")`.
    let family = pieces.iter().find_map(|piece| match piece {
        Piece::Text(text) => text.strip_suffix("{code}"),
        _ => None,
    });
    for at in 1..pieces.len() {
        let (Piece::Code(before), Piece::Text(code)) = (pieces[at - 1], pieces[at]) else { continue };
        let kind = kind_before(before);
        let title = title_after(&pieces[at + 1..]);
        let code = match family {
            Some(family) if before.ends_with("refusal(") => &format!("{family}{code}"),
            _ => code,
        };
        if !is_code(code) || (kind.is_none() && title.is_none()) {
            continue;
        }
        let entry = found.entry(code.to_owned()).or_default();
        entry.kinds.extend(kind);
        entry.titles.extend(title);
        entry.crates.extend(file.path.split('/').nth(1).map(str::to_owned));
    }
}

/// Two or more words of lower case, digits and hyphens, with dots between.
fn is_code(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    text.contains('.') && text.split('.').all(word)
}

/// The kind, when the code comes right after one.
fn kind_before(code: &str) -> Option<String> {
    let (_, kind) = code.trim_end().strip_suffix(',')?.rsplit_once("Kind::")?;
    kind.chars().all(char::is_alphanumeric).then(|| kind.to_owned())
}

/// The sentence, when one comes right after the code.
fn title_after(rest: &[Piece<'_>]) -> Option<String> {
    let (Piece::Code(between), Piece::Text(title)) = (rest.first()?, rest.get(1)?) else { return None };
    let between: String = between.split_whitespace().collect();
    let follows = matches!(between.as_str(), "," | ",format!(" | ",&format!(");
    (follows && title.contains(' ')).then(|| plain(title))
}

/// A format string for people: `{name}` becomes …, and a line broken in the source is joined.
fn plain(title: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    for c in title.replace("\\\"", "\"").replace("{{", "\u{1}").replace("}}", "\u{2}").chars() {
        match c {
            '{' if title.contains('}') => depth += 1,
            '}' => {
                depth -= 1;
                text.push('…');
            }
            '\u{1}' => text.push('{'),
            '\u{2}' => text.push('}'),
            '\\' | '\n' => {}
            c if depth == 0 => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn joined(set: &BTreeSet<String>) -> String {
    set.iter().cloned().collect::<Vec<_>>().join("; ")
}

#[test]
fn the_list_of_problems_is_current() {
    let mut page = "# Problems\n\nEvery failure a user can meet has a code, a sentence, the facts and a hint. The kind \
                    says who must act, and decides exit status and HTTP status. Codes do not change their meaning.\n\n\
                    | Kind | Exit status | HTTP status |\n|---|---|---|\n"
        .to_owned();
    let kinds = [
        Kind::User,
        Kind::Config,
        Kind::NotFound,
        Kind::Conflict,
        Kind::Denied,
        Kind::Unavailable,
        Kind::Plugin,
        Kind::Bug,
    ];
    for kind in kinds {
        page += &format!("| {kind:?} | {} | {} |\n", kind.exit_code(), kind.http_status());
    }
    page += "\n| Code | Kind | What is told |\n|---|---|---|\n";
    for (code, entry) in problems() {
        page += &format!("| `{code}` | {} | {} |\n", joined(&entry.kinds), joined(&entry.titles));
    }
    expect_file![committed("problems.md")].assert_eq(&page);
}

/// A script that branches on a code must be able to trust its kind.
#[test]
fn a_code_means_one_thing() {
    /// Facts of the machine or of a file, which more than one kind of person may have to mend. Not to grow.
    const MIXED: &[&str] =
        &["config.bad-value", "server.not-stopped", "source.too-large", "source.unreadable"];
    let found = problems();
    assert!(found.len() > 80, "only {} codes were found", found.len());
    let many = found.iter().filter(|(code, entry)| entry.kinds.len() > 1 && !MIXED.contains(&code.as_str()));
    let many = many.map(|(code, entry)| format!("{code}: {}", joined(&entry.kinds)));
    none("one kind for each code", &many.collect::<Vec<_>>());
}
