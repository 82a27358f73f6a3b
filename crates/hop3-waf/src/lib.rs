// SPDX-License-Identifier: Apache-2.0
//! The request filter: runs the OWASP Core Rule Set as Debian ships it, through libmodsecurity, in a process of its
//! own. It knows requests and rules, no app and no proxy.
//!
//! ```text
//! proxy ──question──▶ socket ──▶ thread ──▶ Engine ──▶ Rules ──▶ libmodsecurity
//!       ◀──answer───                        (of this thread alone)
//! ```
//! Promise: what the library does wrong costs this process and no other; the proxy notices that nobody answers. A new
//! filter takes the place of an old one without a question being lost.
//! Reading order: `hop3_core::waf`, `serve`, `desk`, `handover`, `engine`, `sets`, `rules`, `library`.
#![cfg(feature = "modsecurity")]

mod desk;
mod engine;
mod handover;
mod library;
mod line;
mod rules;
mod serve;
mod sets;

pub use engine::{Engine, check};
pub use serve::{Options, run};
