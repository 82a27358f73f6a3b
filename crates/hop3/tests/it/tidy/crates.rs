// SPDX-License-Identifier: Apache-2.0
//! Dependencies between our crates point one way.

use super::{none, top};
use std::process::Command;

/// Each crate and those of ours it may use, also in tests.
const MAY_USE: &[(&str, &[&str])] = &[
    ("hop3-core", &[]),
    ("hop3-supervisor", &["hop3-core"]),
    ("hop3-proxy", &["hop3-core"]),
    ("hop3-server", &["hop3-core"]),
    ("hop3-cli", &["hop3-core"]),
    ("hop3-waf", &["hop3-core"]),
    ("hop3-drivers", &["hop3-core", "hop3-proxy", "hop3-supervisor"]),
    ("hop3", &["hop3-cli", "hop3-core", "hop3-drivers", "hop3-proxy", "hop3-server", "hop3-supervisor"]),
];

#[test]
fn dependencies_point_one_way() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(top())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let mut offenders = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            offenders.push(format!("{name}: a new crate needs a line here and a decision record"));
            continue;
        };
        let used = package["dependencies"].as_array().unwrap().iter().filter_map(|d| d["name"].as_str());
        let used = used.filter(|used| *used == "hop3" || used.starts_with("hop3-"));
        offenders
            .extend(used.filter(|used| !allowed.contains(used)).map(|used| format!("{name} uses {used}")));
    }
    assert_eq!(packages.len(), MAY_USE.len());
    none(
        "core <- supervisor, proxy, server, cli, waf; core, supervisor, proxy <- drivers; all <- hop3",
        &offenders,
    );
}

/// What core must never gain: sockets, SQL, processes, async.
#[test]
fn core_has_no_runtime_and_no_store() {
    let manifest = std::fs::read_to_string(top().join("crates/hop3-core/Cargo.toml")).unwrap();
    let banned = ["tokio", "hyper", "axum", "rusqlite", "socket2", "tracing"];
    let found: Vec<_> = banned.iter().filter(|b| manifest.contains(**b)).map(ToString::to_string).collect();
    none("hop3-core is data and functions from data to data", &found);
}
