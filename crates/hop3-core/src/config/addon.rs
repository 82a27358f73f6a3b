// SPDX-License-Identifier: Apache-2.0
//! `[[addons]]` as written to `AddonSettings`: no two the same, kinds by their usual word.

use super::raw::Addon;
use super::resolve::Place;
use crate::addon::usual_kind;
use crate::name::AddonKind;
use crate::problem::{Kind, Problem};
use crate::settings::AddonSettings;
use toml::Spanned;

/// Nobody needs so many, and each costs a step at every deployment.
const MOST: usize = 16;

pub(super) fn resolve(raw: Vec<Spanned<Addon>>, place: &Place<'_>) -> Result<Vec<AddonSettings>, Problem> {
    let mut all: Vec<AddonSettings> = Vec::new();
    for table in raw {
        let range = table.span();
        let one = one(table.into_inner(), place)?;
        if all.len() == MOST {
            return Err(place.mark(range, bad(format!("more than {MOST} entries of [[addons]]"))));
        }
        if all.iter().any(|other| other.name == one.name && (one.name.is_some() || other.kind == one.kind)) {
            let problem = bad("two entries of [[addons]] are the same addon");
            return Err(place.mark(range, problem.hint("give each a name of its own")));
        }
        all.push(one);
    }
    Ok(all)
}

fn one(raw: Addon, place: &Place<'_>) -> Result<AddonSettings, Problem> {
    let kind: AddonKind = place.parse(&raw.kind)?;
    let mut options = raw.options;
    if !raw.extensions.is_empty() {
        options.insert("extensions".to_owned(), raw.extensions.join(","));
    }
    Ok(AddonSettings {
        kind: usual_kind(&kind),
        name: raw.name.map(|name| place.parse(&name)).transpose()?,
        prefix: raw.prefix.map(|prefix| place.parse(&prefix)).transpose()?,
        version: raw.version,
        dedicated: raw.dedicated,
        options,
    })
}

fn bad(title: impl Into<String>) -> Problem {
    Problem::new(Kind::Config, "config.bad-value", title)
}
