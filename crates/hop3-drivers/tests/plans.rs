// SPDX-License-Identifier: Apache-2.0
//! Plans of every app in `examples/apps` and refusals of those in `examples/broken-apps`, beside the apps.
//! `UPDATE_EXPECT=1` rewrites them.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data fails")]

use expect_test::expect_file;
use hop3_core::Problem;
use hop3_core::config;
use hop3_core::plan::BuildPlan;
use hop3_core::source::SourceTree;
use hop3_drivers::builders::{builders, plan};
use std::fs;
use std::path::{Path, PathBuf};

/// Broken apps that are refused before anything is built; the others break later, in the end-to-end tests.
const REFUSED: &[&str] =
    &["hop3-toml-unknown-key", "missing-lock-entry", "nothing-recognised", "procfile-syntax"];

fn apps(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(folder);
    let mut apps: Vec<PathBuf> = fs::read_dir(folder)
        .expect("examples can be read and copied")
        .map(|entry| entry.expect("examples can be read and copied").path())
        .collect();
    apps.sort();
    assert!(!apps.is_empty());
    apps
}

/// Plans an app as it would be pushed: what is expected of it does not belong to it.
fn plan_of(app: &Path) -> Result<BuildPlan, Problem> {
    let folder = tempfile::tempdir().expect("examples can be read and copied");
    copy(app, folder.path());
    let source = SourceTree::open(folder.path()).expect("examples can be read and copied");
    let settings = config::load(&source)?;
    plan(&builders(), &source, &settings)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("examples can be read and copied");
    for entry in fs::read_dir(from).expect("examples can be read and copied") {
        let entry = entry.expect("examples can be read and copied");
        let target = to.join(entry.file_name());
        match entry.file_name().to_str().expect("examples can be read and copied") {
            "expected" | "test.toml" => {}
            _ if entry.file_type().expect("examples can be read and copied").is_dir() => {
                copy(&entry.path(), &target)
            }
            _ => drop(fs::copy(entry.path(), target).expect("examples can be read and copied")),
        }
    }
}

#[test]
fn every_example_has_the_plan_beside_it() {
    for app in apps("apps") {
        let plan = plan_of(&app).unwrap_or_else(|problem| panic!("{}: {problem}", app.display()));
        let text = serde_json::to_string_pretty(&plan).unwrap() + "\n";
        fs::create_dir_all(app.join("expected")).unwrap();
        expect_file![app.join("expected/plan.json")].assert_eq(&text);
    }
}

#[test]
fn broken_apps_are_refused_with_the_text_beside_them() {
    for app in apps("broken-apps") {
        let name = app.file_name().unwrap().to_str().unwrap();
        match plan_of(&app) {
            Err(problem) => {
                assert!(REFUSED.contains(&name), "{name}: {problem}");
                fs::create_dir_all(app.join("expected")).unwrap();
                expect_file![app.join("expected/problem.txt")].assert_eq(&problem.render());
            }
            Ok(_) => assert!(!REFUSED.contains(&name), "{name} is planned, but should be refused"),
        }
    }
}
