// SPDX-License-Identifier: Apache-2.0
//! A source as data for a builder in another process: the names of everything, and the text of what it reads.

use hop3_core::plugin::{BuilderOffer, SourceData};
use hop3_core::source::SourceTree;

const MAX_PATHS: usize = 10_000;
const MAX_DEPTH: usize = 16;
/// Of all files together.
const MAX_TEXT_BYTES: usize = 2 << 20;

/// Tells whether the source has what the builder wants to be asked about.
pub(super) fn is_of_interest(offer: &BuilderOffer, source: &SourceTree) -> bool {
    offer.when.iter().any(|wanted| match wanted.strip_prefix('*') {
        Some(ending) => source.list("").iter().any(|name| name.ends_with(ending)),
        None => source.has(wanted),
    })
}

pub(super) fn data(offer: &BuilderOffer, source: &SourceTree) -> SourceData {
    let mut data = SourceData::default();
    walk(source, "", 0, &mut data.paths);
    data.paths.sort();
    let mut left = MAX_TEXT_BYTES;
    for path in &offer.reads {
        // What is no text, or too large, is as good as absent for a builder.
        let Ok(Some(text)) = source.read(path) else { continue };
        if text.len() <= left {
            left -= text.len();
            data.files.insert(path.clone(), text);
        }
    }
    data
}

fn walk(source: &SourceTree, folder: &str, depth: usize, paths: &mut Vec<String>) {
    for name in source.list(folder) {
        if paths.len() >= MAX_PATHS || name == ".git" {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let is_folder = source.is_own_dir(&path);
        paths.push(if is_folder { format!("{path}/") } else { path.clone() });
        if is_folder && depth < MAX_DEPTH {
            walk(source, &path, depth + 1, paths);
        }
    }
}
