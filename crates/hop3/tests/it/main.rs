// SPDX-License-Identifier: Apache-2.0
//! All end-to-end tests, in one program: each boots the real `hop3` in a temporary root and uses it from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod cli;
mod fetch;
mod harness;
mod hostile;
mod isolation;
mod probe;
mod push;
mod reference;
mod restart;
mod ssh;
mod tidy;
