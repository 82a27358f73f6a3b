// SPDX-License-Identifier: Apache-2.0
//! `edge-tool MODE --option value...`: what Python is too slow for when the edge is measured.
//!
//! | Mode | Does | Prints |
//! |---|---|---|
//! | `upstream` | answers `/s` (200 B), `/k` (10 KiB), `/l` (100 MiB), takes bodies, echoes after an upgrade | nothing |
//! | `relay` | carries bytes to another address, the least a proxy can do | nothing |
//! | `idle` | opens connections, asks once on each and keeps them until standard input ends | how many |
//! | `echo` | messages of a WebSocket's size there and back | JSON |
//! | `rate` | requests at a fixed rate, each timed from the moment it was due | JSON |
//! | `handshakes` | TLS connections, a full handshake and one request each | JSON |
//! | `flow` | requests one after the other on each connection; counts every one that failed | JSON |

mod client;
mod epoll;
mod relay;
mod upstream;

use std::collections::HashMap;
use std::io;

/// `--name value` pairs.
pub struct Options(HashMap<String, String>);

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Options {
        let mut options = HashMap::new();
        while let Some(word) = words.next() {
            options.insert(word.trim_start_matches('-').to_owned(), words.next().unwrap_or_default());
        }
        Options(options)
    }

    pub fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).map_or(default, String::as_str).to_owned()
    }

    pub fn number(&self, name: &str, default: f64) -> f64 {
        self.0.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }
}

fn main() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let mode = words.next().unwrap_or_default();
    let options = Options::read(words);
    match mode.as_str() {
        "upstream" => upstream::run(&options),
        "relay" => relay::run(&options),
        other => client::run(other, &options),
    }
}
