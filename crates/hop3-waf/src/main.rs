// SPDX-License-Identifier: Apache-2.0
//! `hop3-waf --root DIR`: the filter role. The other roles start it when it lies beside them.
//! `hop3-waf --check`: tells whether the library and the rules can be used.

use hop3_core::layout::Layout;
use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (word, root) = (arguments.next(), arguments.next());
    let (kept, end) = (arguments.next(), arguments.next());
    let is_kept = kept.as_deref().is_some_and(|word| word == "--kept");
    let end = end.or(kept.filter(|_| !is_kept));
    let done = match (word.as_deref().and_then(OsStr::to_str), root, end) {
        (Some("--check"), None, None) => hop3_waf::check(),
        (Some("--root"), Some(root), None) => {
            hop3_waf::run(&Layout::new(PathBuf::from(root)), is_kept).map_err(|error| error.to_string())
        }
        _ => return told("usage: hop3-waf --root DIR [--kept], or hop3-waf --check"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told(&format!("the request filter cannot work: {error}")),
    }
}

fn told(text: &str) -> ExitCode {
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}
