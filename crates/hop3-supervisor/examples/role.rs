// SPDX-License-Identifier: Apache-2.0
//! The two roles of this crate as a program of their own: `role supervise ROOT UID`, `role launch`.
//!
//! The tests run it, so that they need nothing else; it also shows all that a program must do to have a supervisor.

use hop3_core::layout::Layout;
use hop3_supervisor::{Options, launch_main, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["launch"] => launch_main(),
        ["supervise", root, uid] => {
            let launcher = std::env::current_exe().expect("the program has a path");
            let allowed_uid = uid.parse().expect("UID is a number");
            match run(Options { layout: Layout::new(*root), allowed_uid, launcher, wanted: None }) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    ExitCode::from(if error.is::<hop3_supervisor::AlreadyRunning>() { 3 } else { 1 })
                }
            }
        }
        _ => ExitCode::from(2),
    }
}
