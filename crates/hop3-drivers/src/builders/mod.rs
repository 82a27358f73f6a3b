// SPDX-License-Identifier: Apache-2.0
//! Builders: recognise a source and say, as data, how to build it.

mod author;
mod bun;
mod clojure;
mod deno;
mod elixir;
mod go;
mod gradle;
mod java;
mod php;
mod ruby;
mod rust;

pub use bun::Bun;
pub use clojure::Clojure;
pub use deno::Deno;
pub use elixir::Elixir;
pub use go::Go;
pub use java::Java;
pub use php::Php;
pub use ruby::Ruby;
pub use rust::Rust;

use hop3_core::driver::Builder;
use std::sync::Arc;

/// In the order in which they are asked: the files of the first ones mean one language only, the last ones look at
/// files that also lie about in apps of other languages.
pub fn builders() -> Vec<Arc<dyn Builder>> {
    vec![
        Arc::new(Go),
        Arc::new(Rust),
        Arc::new(Elixir),
        Arc::new(Clojure),
        Arc::new(Java),
        Arc::new(Ruby),
        Arc::new(Deno),
        Arc::new(Bun),
        Arc::new(Php),
    ]
}
