// SPDX-License-Identifier: Apache-2.0
//! Step Checkout: an upload becomes a tree on disk. Hostile archives end here; undo deletes what was unpacked.

use super::Context;
use crate::checkout::{Limits, unpack};
use crate::server::internal;
use hop3_core::problem::Problem;
use hop3_core::source::SourceTree;
use std::io::Read;
use std::path::PathBuf;

/// Code on its way in.
pub struct Upload {
    /// A tar stream.
    pub tar: Box<dyn Read + Send>,
    /// What it is, for people: a commit id, `upload`.
    pub label: String,
}

/// An unpacked source.
pub(super) struct Source {
    pub tree: SourceTree,
    /// Where it lies until the build names its artifact; `tree/` inside.
    pub incoming: PathBuf,
    /// SHA-256 over names, modes and contents.
    pub digest: String,
    pub label: String,
}

pub(super) fn run(cx: &Context<'_>, upload: Upload) -> Result<Source, Problem> {
    let name = format!("{}-incoming-{}", cx.app.id, cx.deployment.map_or(0, |d| d.0));
    let incoming = cx.server.layout.artifact(&name);
    let tree = incoming.join("tree");
    std::fs::create_dir_all(&tree).map_err(internal)?;
    let (server, path) = (cx.server.clone(), incoming.clone());
    cx.undo("remove the unpacked source", move || server.drivers.runner.remove(&path));
    let unpacked = unpack(upload.tar, &tree, &Limits::default())?;
    cx.say(&format!("{} files, {} bytes from {}", unpacked.files, unpacked.bytes, upload.label));
    unpacked.notes.iter().for_each(|note| cx.warn(note));
    let tree = SourceTree::open(&tree)?;
    Ok(Source { tree, incoming, digest: unpacked.digest, label: upload.label })
}
