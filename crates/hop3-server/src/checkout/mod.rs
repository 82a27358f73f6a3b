// SPDX-License-Identifier: Apache-2.0
//! Turns an untrusted tar stream (an upload, or `git archive`) into a directory.
//!
//! Invariant: whatever the stream says, nothing outside the directory is created, changed or followed, and
//! nothing but plain files, directories and links that stay inside is in it.
//!
//! Reading order: `unpack` (the loop), `member` (what a tar header means), `path` (names and link targets),
//! `tree` (writing beneath a directory), `contents` (what is there so far, its digest).

mod contents;
mod member;
mod path;
mod tree;
mod unpack;

pub(crate) use unpack::Size;
pub use unpack::{Limits, Unpacked, unpack};

#[cfg(test)]
mod tests;
