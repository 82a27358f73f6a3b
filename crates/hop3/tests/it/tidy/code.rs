// SPDX-License-Identifier: Apache-2.0
//! Rules on what the code says: words, strings, suppressions.

use super::lexer::{Piece, pieces};
use super::{none, rust, top};

#[test]
fn sql_lives_in_the_store() {
    const WORDS: &[&str] =
        &["SELECT ", "INSERT INTO ", "INSERT OR ", "DELETE FROM ", "CREATE TABLE ", "PRAGMA "];
    let mut offenders = Vec::new();
    for file in rust() {
        // The rule itself must name what it forbids; databases are asked in their own language.
        let asks = [
            "crates/hop3-server/src/store",
            "crates/hop3-drivers/src/addons/",
            "crates/hop3-drivers/tests/addons/",
        ];
        if asks.iter().any(|start| file.path.starts_with(start)) || file.path.ends_with("/tidy/code.rs") {
            continue;
        }
        let says =
            |p: &Piece| matches!(p, Piece::Text(t) if WORDS.iter().any(|w| t.trim_start().starts_with(w)));
        if pieces(file.text()).iter().any(says) {
            offenders.push(file.path.clone());
        }
    }
    none("SQL belongs to hop3-server/src/store", &offenders);
}

/// Proxy and supervisor must not know what an application is.
#[test]
fn proxy_and_supervisor_know_no_app() {
    let mut offenders = Vec::new();
    for file in rust() {
        let low = ["crates/hop3-proxy/src/", "crates/hop3-supervisor/src/"];
        if file.is_test() || !low.iter().any(|start| file.path.starts_with(start)) {
            continue;
        }
        for piece in pieces(file.text()) {
            let Piece::Code(code) = piece else { continue };
            let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            offenders
                .extend(words.filter(|word| names_app(word)).map(|word| format!("{}: {word}", file.path)));
        }
    }
    none("the word app is above these crates", &offenders);
}

fn names_app(identifier: &str) -> bool {
    let mut words = String::new();
    for c in identifier.chars() {
        if c.is_ascii_uppercase() || c == '_' {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words.split([' ', '_']).any(|word| word == "app" || word == "apps")
}

#[test]
fn shells_get_only_what_the_author_of_an_app_wrote() {
    /// `Command::Shell` itself, and what wraps the author's own lines of a Procfile.
    const ALLOWED: &[&str] =
        &["crates/hop3-core/src/sandbox.rs", "crates/hop3-drivers/src/builders/author.rs"];
    let mut offenders = Vec::new();
    for file in rust().iter().filter(|f| !f.is_test() && !ALLOWED.contains(&f.path.as_str())) {
        let texts: Vec<_> = pieces(file.text())
            .into_iter()
            .filter_map(|p| if let Piece::Text(t) = p { Some(t) } else { None })
            .collect();
        let pair = texts.windows(2).any(|w| w[0].ends_with("sh") && w[1] == "-c");
        if pair || texts.iter().any(|t| t.contains("sh -c ")) {
            offenders.push(file.path.clone());
        }
    }
    none("no shell outside the two places that run the author's own lines", &offenders);
}

#[test]
fn lints_are_expected_with_a_reason_and_no_test_is_ignored() {
    let mut offenders = Vec::new();
    for file in rust() {
        for piece in pieces(file.text()) {
            let Piece::Code(code) = piece else { continue };
            let bad = ["#[allow(", "#![allow(", "#[ignore", "#[should_panic", "thread::sleep"];
            let found = bad.iter().filter(|bad| code.contains(**bad));
            let found = found.filter(|bad| **bad != "thread::sleep" || file.is_test());
            offenders.extend(found.map(|bad| format!("{}: {bad}", file.path)));
        }
    }
    none("use #[expect(lint, reason = …)]; a test runs, and waits for events", &offenders);
}

#[test]
fn what_is_left_to_do_has_an_issue() {
    let mut offenders = Vec::new();
    for file in rust() {
        for piece in pieces(file.text()) {
            let Piece::Comment(comment) = piece else { continue };
            for word in ["TODO", "FIXME", "XXX"] {
                if comment.contains(word) && !comment.contains(&format!("{word}(#")) {
                    offenders.push(format!("{}: {comment}", file.path));
                }
            }
        }
    }
    none("write TODO(#N): with the number of an issue", &offenders);
}

/// Without its line in main.rs a file of tests is never compiled, and so never fails.
#[test]
fn every_file_of_tests_runs() {
    let folder = top().join("crates/hop3/tests/it");
    let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    let mut offenders = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        // What tests read is not a test.
        if !["main", "fixtures"].contains(&module)
            && !main.lines().any(|line| line == format!("mod {module};"))
        {
            offenders.push(name);
        }
    }
    none("add `mod NAME;` to tests/it/main.rs", &offenders);
}
