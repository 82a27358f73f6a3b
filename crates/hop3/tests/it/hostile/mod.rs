// SPDX-License-Identifier: Apache-2.0
//! Hostile input through the front doors: API, git, uploads, files of the app. Each input is refused with a clear
//! problem or handled safely; whatever it would have run or written, the canary never appears.

mod archive;
mod bomb;
mod config;
mod file;
mod git;
mod name;

use crate::harness::Hop;
use std::path::PathBuf;

/// A file that no hostile input may make appear. `{canary}` in an input stands for its path.
fn canary(hop: &Hop) -> PathBuf {
    hop.scratch().join("canary")
}

fn armed(hop: &Hop, input: &str) -> String {
    input.replace("{canary}", &canary(hop).display().to_string())
}

#[track_caller]
fn assert_unharmed(hop: &Hop, input: &str) {
    assert!(!canary(hop).exists(), "the canary appeared by {input:?}");
    let info = hop.hop3(["app", "list", "--json"]);
    assert!(info.ok, "the server does not answer after {input:?}: {}", info.text);
}
