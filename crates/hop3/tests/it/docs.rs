// SPDX-License-Identifier: Apache-2.0
//! The commands of the book's first pages, typed as a reader would: one shell for a page, against a real server.
//!
//! In a `console` block, lines with `$ ` are typed and the others must be seen, in this order. Blocks marked
//! `console,server` are what the harness has done already.

use crate::harness::Hop;
use crate::tidy::top;
use std::process::Command;

struct Page {
    script: String,
    /// Lines the reader is promised.
    seen: Vec<String>,
}

fn read(page: &str) -> Page {
    let text = std::fs::read_to_string(top().join("docs/src").join(page)).unwrap();
    let blocks = text.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let (mut script, mut seen) = (String::from("set -e\n"), Vec::new());
    for line in blocks.flat_map(str::lines) {
        match line.strip_prefix("$ ") {
            Some(command) => script += &format!("{command}\n"),
            None => seen.push(line.to_owned()),
        }
    }
    Page { script, seen }
}

fn type_in(hop: &Hop, page: &str) {
    let page = read(page);
    let home = hop.scratch().join("reader");
    std::fs::create_dir(&home).unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_hop3")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    // The page names a port; the harness took a free one.
    let script = page.script.replace("localhost:8000", &format!("localhost:{}", hop.port));
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(&home)
        .env("HOME", &home)
        .env("HOP3_ROOT", hop.root())
        .env("PATH", path)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .envs([("no_proxy", "localhost,.localhost"), ("NO_PROXY", "localhost,.localhost")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let mut rest = &*text;
    for line in &page.seen {
        let at = rest
            .find(line.as_str())
            .unwrap_or_else(|| panic!("the page promises {line:?}; it said:\n{text}"));
        rest = &rest[at + line.len()..];
    }
    assert!(!page.seen.is_empty());
}

#[test]
fn the_first_push_of_the_book_works() {
    type_in(&Hop::start(), "start/first-push.md");
}

#[test]
fn the_cookbook_of_plugins_works() {
    if !crate::plugin::lacks_tools("the_cookbook_of_plugins_works") {
        type_in(&Hop::start(), "extend/plugins.md");
    }
}
