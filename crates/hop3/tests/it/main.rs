// SPDX-License-Identifier: Apache-2.0
//! All end-to-end tests, in one program: each boots the real `hop3` in a temporary root and uses it from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a test says is read in the runner's output"
)]

mod apps;
mod broken;
mod harness;
mod push;
mod reference;
mod tidy;
