// SPDX-License-Identifier: Apache-2.0
//! The supervisor as a whole: a real role, real processes, a real root.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that fails or skips says so on the spot"
)]

mod adopt;
mod freeze;
mod harness;
mod keep;
mod log;
mod oneoff;
mod sandbox;
