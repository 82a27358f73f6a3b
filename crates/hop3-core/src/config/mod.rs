// SPDX-License-Identifier: Apache-2.0
//! Reads what the author of an app wrote: `hop3.toml`, `Procfile`, `app.json`, at the top or in `hop3/`.
//!
//! Two stages: `raw` mirrors of the files (one struct per table, unknown keys refused), then `resolve` into
//! [`Settings`](crate::settings::Settings), the type used everywhere else. Nothing is read but through the
//! `SourceTree`, and whatever a file says wrongly is a `Problem` that points at it.
//!
//! Reading order: `load`, `procfile`, `raw`, `process`, `resolve`, `policy`, `tcp`, `addon`, `volume`, `overlay`, `app_json`,
//! `complaint`, `path`, `reference`.

mod addon;
mod app_json;
mod complaint;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod load;
mod overlay;
mod path;
mod policy;
mod process;
mod procfile;
mod raw;
mod reference;
mod resolve;
mod tcp;
mod volume;

pub use load::load;
pub use overlay::{Assignments, assignment, entries, overlay, without_passwords};
pub(crate) use path::url_path;
pub use raw::bytes;
pub use reference::{json_schema, reference_markdown};
