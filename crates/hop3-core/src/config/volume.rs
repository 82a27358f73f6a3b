// SPDX-License-Identifier: Apache-2.0
//! `[[volumes]]` as written to `VolumeSettings`: each has a name and a place, and no two the same.

use super::raw::{Persist, Volume};
use super::resolve::Place;
use crate::problem::{Kind, Problem};
use crate::settings::VolumeSettings;
use toml::Spanned;

/// Each is a mount of every process.
const MOST: usize = 16;

/// What names of volumes have beside an app's.
const NAME_MOST: usize = 39;

pub(super) fn resolve(
    raw: Vec<Spanned<Volume>>,
    place: &Place<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<VolumeSettings>, Problem> {
    let mut all: Vec<VolumeSettings> = Vec::new();
    for table in raw {
        let range = table.span();
        let refuse = |title: &str| Err(place.mark(range.clone(), bad(title)));
        let raw = table.into_inner();
        let ((Some(path), None) | (None, Some(path))) = (&raw.path, &raw.target) else {
            return refuse("an entry of [[volumes]] says its path once, for example path = \"uploads\"");
        };
        match raw.r#type {
            None | Some(Persist::Persist) => {}
        }
        let one = VolumeSettings {
            name: place.parse(&raw.name)?,
            path: place.parse(path)?,
            size_bytes: raw.size.map(|size| size.0),
        };
        if one.name.as_str().len() > NAME_MOST {
            return refuse("the name of a volume has at most 39 characters");
        }
        if all.iter().any(|other| other.name == one.name || other.path == one.path) {
            return refuse("two entries of [[volumes]] have the same name or path");
        }
        if all.len() == MOST {
            return refuse("more than 16 entries of [[volumes]]");
        }
        for (key, is_there) in [("mode", raw.mode.is_some()), ("backup", raw.backup.is_some())] {
            if is_there {
                warnings.push(format!(
                    "hop3.toml: {key} in [[volumes]] is understood, but this version does not act on it"
                ));
            }
        }
        all.push(one);
    }
    Ok(all)
}

fn bad(title: &str) -> Problem {
    Problem::new(Kind::Config, "config.bad-value", title)
}
