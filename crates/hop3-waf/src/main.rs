// SPDX-License-Identifier: Apache-2.0
//! `hop3-waf --root DIR`: the filter role. The other roles start it when it lies beside them.
//! `hop3-waf --check`: tells whether the library and the rules can be used.

use hop3_core::layout::Layout;
use hop3_waf::Options;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    let done = match words[..] {
        ["--check"] => hop3_waf::check(),
        ["--root", _, ref more @ ..] if more.iter().all(|word| ["--kept", "--takes-over"].contains(word)) => {
            let options =
                Options { is_kept: more.contains(&"--kept"), takes_over: more.contains(&"--takes-over") };
            let layout = Layout::new(PathBuf::from(&arguments[1]));
            hop3_waf::run(&layout, options).map_err(|error| error.to_string())
        }
        _ => return told("usage: hop3-waf --root DIR [--kept] [--takes-over], or hop3-waf --check"),
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
