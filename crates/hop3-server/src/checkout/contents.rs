// SPDX-License-Identifier: Apache-2.0
//! What has been unpacked so far, and its digest.
//!
//! Invariant: the digest depends on paths, kinds, modes and contents of files and links only, not on their order,
//! times, owners or on how they were packed; folders count by what is in them, as git sees it.

use super::path::{EntryPath, quoted};
use hop3_core::{Kind, Problem};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One thing of the tree.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Node {
    Folder,
    File { executable: bool, digest: [u8; 32] },
    Link { target: String },
}

impl Node {
    fn kind(&self) -> &'static str {
        match self {
            Node::Folder => "a folder",
            Node::File { .. } => "a file",
            Node::Link { .. } => "a link",
        }
    }
}

#[derive(Default)]
pub(super) struct Contents {
    nodes: BTreeMap<EntryPath, Node>,
}

impl Contents {
    /// Records a node. A second one of the same name and kind replaces the first, as tar has it.
    pub(super) fn put(&mut self, path: EntryPath, node: Node) -> Result<(), Problem> {
        self.check(&path, &node)?;
        self.nodes.insert(path, node);
        Ok(())
    }

    /// Refuses what would turn one kind of thing into another: the way archives smuggle links under files.
    pub(super) fn check(&self, path: &EntryPath, node: &Node) -> Result<(), Problem> {
        match self.nodes.get(path) {
            Some(old) if std::mem::discriminant(old) != std::mem::discriminant(node) => {
                Err(conflict(path, old.kind(), node.kind()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn contains(&self, path: &EntryPath) -> bool {
        self.nodes.contains_key(path)
    }

    /// Hexadecimal SHA-256 over the sorted files and links.
    pub(super) fn digest(&self) -> String {
        let mut sum = Sha256::new();
        for (path, node) in &self.nodes {
            let (kind, content) = match node {
                Node::Folder => continue,
                Node::File { executable: false, digest } => (b'f', &digest[..]),
                Node::File { executable: true, digest } => (b'x', &digest[..]),
                Node::Link { target } => (b'l', target.as_bytes()),
            };
            sum.update([kind]);
            for field in [path.as_str().as_bytes(), content] {
                sum.update((field.len() as u64).to_be_bytes());
                sum.update(field);
            }
        }
        sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

pub(super) fn conflict(path: &EntryPath, old: &str, new: &str) -> Problem {
    Problem::new(
        Kind::User,
        "source.conflicting-entry",
        format!("{} is in the archive as {old} and again as {new}", quoted(path.as_str())),
    )
    .hint("pack each name once")
}
