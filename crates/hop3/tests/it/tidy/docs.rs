// SPDX-License-Identifier: Apache-2.0
//! What the docs must name, and what they may name only when it is there.

use super::{RepoFile, files, none, top};
use hop3_core::event::DeployStep;

fn read(path: &str) -> String {
    std::fs::read_to_string(top().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Names of the builders: the word each gives as its own.
fn builders() -> Vec<String> {
    let ours = |f: &RepoFile| f.path.starts_with("crates/hop3-drivers/src/builders/") && !f.is_test();
    let name = |f: &RepoFile| {
        let (_, after) = f.text().split_once("impl Builder for")?;
        let (_, after) = after.split_once("fn name(&self) -> &'static str {")?;
        Some(after.split('"').nth(1)?.to_owned())
    };
    let names: Vec<_> = files().iter().filter(|f| ours(f)).filter_map(name).collect();
    assert!(names.len() > 8, "{names:?}");
    names
}

#[test]
fn every_builder_is_documented_and_has_an_example() {
    let page = read("docs/src/concepts/builders.md");
    let plans: Vec<_> = files()
        .into_iter()
        .filter(|f| f.path.starts_with("examples/apps/") && f.path.ends_with("/plan.json"))
        .collect();
    let mut offenders = Vec::new();
    for name in builders() {
        if !page.contains(&format!("`{name}`")) {
            offenders.push(format!("{name}: not in docs/src/concepts/builders.md"));
        }
        if !plans.iter().any(|plan| plan.text().contains(&format!("\"builder\": \"{name}\""))) {
            offenders.push(format!("{name}: no examples/apps/*/expected/plan.json"));
        }
    }
    none("a builder is told and shown", &offenders);
}

#[test]
fn every_example_says_how_it_answers() {
    let all = files();
    let has = |app: &str, file: &str| all.iter().any(|f| f.path == format!("examples/apps/{app}/{file}"));
    let mut apps: Vec<_> =
        all.iter().filter_map(|f| f.path.strip_prefix("examples/apps/")?.split('/').next()).collect();
    apps.dedup();
    let bare = apps.iter().filter(|app| !has(app, "test.toml") || !has(app, "expected/plan.json"));
    none(
        "an example has test.toml and expected/plan.json",
        &bare.map(ToString::to_string).collect::<Vec<_>>(),
    );
}

#[test]
fn every_step_of_a_deployment_is_told() {
    let page = read("docs/src/concepts/deployments.md");
    let missing = DeployStep::ALL
        .iter()
        .map(|step| step.as_str())
        .filter(|step| !page.contains(&format!("| `{step}` |")));
    none(
        "a row for each step in docs/src/concepts/deployments.md",
        &missing.map(str::to_owned).collect::<Vec<_>>(),
    );
}

/// Pages of the book are listed, and what is listed is there.
#[test]
fn the_summary_lists_every_page() {
    let summary = read("docs/src/SUMMARY.md");
    let listed: Vec<&str> = summary
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|page| !page.is_empty())
        .collect();
    let mut offenders = Vec::new();
    for page in &listed {
        if !top().join("docs/src").join(page).is_file() {
            offenders.push(format!("{page}: listed, not there"));
        }
    }
    for file in files() {
        let Some(page) = file.path.strip_prefix("docs/src/") else { continue };
        if page.ends_with(".md") && page != "SUMMARY.md" && !listed.contains(&page) {
            offenders.push(format!("{page}: there, not listed"));
        }
    }
    none("docs/src/SUMMARY.md is the table of contents", &offenders);
}

/// Rows are `| n | path.rs | what is read, with function() names |`.
#[test]
fn follow_a_push_names_what_exists() {
    let page = read("docs/src/contribute/follow-a-push.md");
    let mut offenders = Vec::new();
    let mut seen = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains(".rs`")) {
        let words: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let path = words[0];
        let Ok(source) = std::fs::read_to_string(top().join(path)) else {
            offenders.push(format!("{path} is not there"));
            continue;
        };
        for function in words[1..].iter().filter_map(|word| word.strip_suffix("()")) {
            seen += 1;
            if !source.contains(&format!("fn {function}")) {
                offenders.push(format!("{path} has no fn {function}"));
            }
        }
    }
    assert!(seen > 8, "only {seen} functions are named");
    none("docs/src/contribute/follow-a-push.md", &offenders);
}

/// Files that prose names in backticks are there.
#[test]
fn prose_names_files_that_are_there() {
    let mut offenders = Vec::new();
    for file in files().iter().filter(|f| f.path.ends_with(".md") && !f.path.starts_with("examples/")) {
        for word in file.text().split('`').skip(1).step_by(2) {
            let ours =
                ["crates/", "docs/", "scripts/", "examples/"].iter().any(|start| word.starts_with(start));
            let exact = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if ours && exact && !top().join(word).exists() {
                offenders.push(format!("{}: {word}", file.path));
            }
        }
    }
    none("named, not there", &offenders);
}
