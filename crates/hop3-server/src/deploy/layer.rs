// SPDX-License-Identifier: Apache-2.0
//! Layers: dependencies in directories named by what they were made from.
//!
//! A layer is complete when its marker is there, and the marker is written last: a build that ends in the middle
//! leaves a directory without one, which counts for nothing and is removed before the next try. Layers belong to one
//! app (its id is in the digest), so that one app's install scripts never reach another.

use super::Context;
use super::build::{self, Bench};
use super::checkout::Source;
use crate::server::internal;
use hop3_core::plan::{BuildPlan, Layer};
use hop3_core::problem::Problem;
use hop3_core::release::FoundToolchain;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Changes when the way layers are made changes.
const FORMAT: &str = "hop3 layer 1";

pub(super) fn is_complete(layer: &Path) -> bool {
    layer.join(".complete").exists()
}

/// The digest that names a layer.
pub(super) fn digest(
    cx: &Context<'_>,
    source: &Source,
    plan: &BuildPlan,
    layer: &Layer,
    toolchains: &BTreeMap<String, FoundToolchain>,
) -> Result<String, Problem> {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(FORMAT.as_bytes());
    add(&cx.app.id.to_le_bytes());
    add(plan.builder.as_bytes());
    add(&serde_json::to_vec(layer).map_err(internal)?);
    add(&serde_json::to_vec(toolchains).map_err(internal)?);
    for input in &layer.inputs {
        add(input.as_bytes());
        add(&source.tree.read_bytes(input)?.unwrap_or_default());
    }
    Ok(name(cx, &hash.finalize()))
}

/// Makes a layer unless it is there.
pub(super) fn provide(
    cx: &Context<'_>,
    bench: &Bench<'_>,
    layer: &Layer,
    path: &Path,
) -> Result<(), Problem> {
    if is_complete(path) {
        cx.say(&format!("layer {}: unchanged, reused", layer.name));
        return Ok(());
    }
    let runner = &cx.server.drivers.runner;
    runner.remove(path)?;
    let (server, made) = (cx.server.clone(), path.to_owned());
    cx.undo(format!("remove the layer {}", layer.name), move || server.drivers.runner.remove(&made));
    runner.give(path, bench.user)?;
    layer.steps.iter().try_for_each(|step| build::run_step(cx, bench, step))?;
    runner.give(path, build::own_user(cx))?;
    std::fs::write(path.join(".complete"), FORMAT).map_err(internal)
}

/// Directories of artifacts and layers begin with their app's row id, so that each app's can be found and swept alone.
pub(super) fn name(cx: &Context<'_>, digest: &[u8]) -> String {
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hex}", cx.app.id)
}
