// SPDX-License-Identifier: Apache-2.0
//! Builders: recognise a source and say, as data, how to build it. One file or folder each; `author` holds what the
//! author of an app may say to all of them, `select` asks them in order.

mod author;
mod bun;
mod clojure;
mod deno;
mod elixir;
mod go;
mod gradle;
mod java;
mod multi;
mod node;
mod php;
mod procfile;
mod python;
mod ruby;
mod rust;
mod select;
mod static_site;

pub use bun::Bun;
pub use clojure::Clojure;
pub use deno::Deno;
pub use elixir::Elixir;
pub use go::Go;
pub use java::Java;
pub use multi::Multi;
pub use node::Node;
pub use php::Php;
pub use procfile::ProcfileOnly;
pub use python::Python;
pub use ruby::Ruby;
pub use rust::Rust;
pub use select::plan;
pub use static_site::StaticFolder;

use hop3_core::driver::Builder;
use std::sync::Arc;

/// In the order in which they are asked: first come those whose files mean one thing only.
pub fn builders() -> Vec<Arc<dyn Builder>> {
    vec![
        Arc::new(Multi),  // Python and package.json together: before either of them
        Arc::new(Python), // its manifests are its own; app.py and main.py come last in its list
        Arc::new(Go),     // go.mod, Cargo.toml, …: one language each,
        Arc::new(Rust),   // and many of these apps have a package.json for their assets beside,
        Arc::new(Elixir), // so all of them come before Node
        Arc::new(Clojure),
        Arc::new(Java),
        Arc::new(Ruby),
        Arc::new(Php),
        Arc::new(Deno), // their lock files stand beside a package.json
        Arc::new(Bun),
        Arc::new(Node),         // package.json alone; also front ends that become a static site
        Arc::new(StaticFolder), // index.html lies about in apps of every language
        Arc::new(ProcfileOnly), // anything that says how to run itself
    ]
}
