// SPDX-License-Identifier: Apache-2.0
//! Static files: a path beneath a root becomes a response. Reading order: `path`, `find`, `kept`,
//! `condition`, `serve`.

pub(crate) mod condition;
mod find;
mod kept;
mod media;
pub(crate) mod path;
mod serve;

pub(crate) use find::page;
pub(crate) use serve::{Place, serve};
