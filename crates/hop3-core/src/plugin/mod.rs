// SPDX-License-Identifier: Apache-2.0
//! What Hop3 and a plugin say to each other, as types: JSON-RPC 2.0, one object a line, over stdin and stdout.
//!
//! The first call is `hello`; its answer is an `Introduction`. Then Hop3 asks, one call at a time, what the plugin said
//! it has. The JSON Schemas of these types are the reference for authors in every language.
//!
//! Reading order: `message` (the lines), `hello` (who it is), `call` (what it is asked), `info` (what people see of it), `bundle` (who vouches for it).

mod bundle;
mod call;
mod hello;
mod info;
mod message;
mod schema;

pub use bundle::{
    BUNDLE_MANIFEST, BUNDLE_SIGNATURE, BundleManifest, BundledFile, PluginKey, TrustKeyRequest,
};
pub use call::{
    AddonEntry, AddonProcess, BuilderCall, CommandAnswer, CommandCall, Detection, EventCall, HookAnswer,
    HookCall, Panel, PanelCall, Refusal, SourceData, method,
};
pub use hello::{
    BuilderOffer, CatalogEntry, CommandOffer, Hello, HookPoint, Introduction, PanelOffer, Permissions,
    Provides, When,
};
pub use info::{Accepted, EnablePluginRequest, InstallQuery, PluginInfo, PluginReport};
pub use message::{Answer, Failure, Request};
pub use schema::json_schema;

/// The version of what is written here.
pub const PROTOCOL: u32 = 1;

/// An answer is one line of at most so many bytes.
pub const MAX_LINE_BYTES: usize = 4 << 20;

/// A program of a plugin is named so, with the plugin's name behind.
pub const PROGRAM_PREFIX: &str = "hop3-plugin-";
