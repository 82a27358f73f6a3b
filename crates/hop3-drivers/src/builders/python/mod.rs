// SPDX-License-Identifier: Apache-2.0
//! Python: a virtual environment in a layer, filled by uv from whichever file declares the dependencies.
//!
//! Upstream: PEP 517, 621 and 735, the uv, pip, Poetry, PDM and Pipenv documentation. Needs `python` and `uv`.
//! The app's own code never goes into the layer: a layer is shared by releases, the code is what changes.
//!
//! Reading order: `builder`, `manifest`, `install`, `version`, `web`, `django`.

mod builder;
mod django;
mod install;
mod manifest;
mod project;
mod version;
mod web;

pub use builder::Python;
