// SPDX-License-Identifier: Apache-2.0
//! The contract suites, run over every built-in driver.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_drivers::builders::builders;
use hop3_drivers::contract::builder::{broken_rules, contents};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

fn apps() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/apps");
    let mut apps: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    apps.sort();
    apps
}

/// What is broken by any builder for that tree, and nothing of the tree is changed.
fn broken(folder: &Path, settings: &Settings) -> Vec<String> {
    let source = SourceTree::open(folder).unwrap();
    let before = contents(folder).unwrap();
    let mut told = Vec::new();
    for builder in builders() {
        let rules = broken_rules(builder.as_ref(), &source, settings);
        told.extend(
            rules.into_iter().map(|rule| format!("{}: {}: {rule}", folder.display(), builder.name())),
        );
    }
    assert!(contents(folder).unwrap() == before, "a builder wrote into {}", folder.display());
    told
}

#[test]
fn every_builder_keeps_the_contract_on_every_example_app() {
    for app in apps() {
        let settings = hop3_core::config::load(&SourceTree::open(&app).unwrap()).unwrap();
        assert_eq!(broken(&app, &settings), [""; 0]);
        let mut commanded = settings.clone();
        commanded.build.command = vec!["make".into(), "make install".into()];
        assert_eq!(broken(&app, &commanded), [""; 0]);
    }
}

#[test]
fn a_plan_does_not_depend_on_where_the_tree_lies() {
    for app in apps() {
        let elsewhere = tempfile::tempdir().unwrap();
        let copy = elsewhere.path().join("x");
        symlink_free_copy(&app, &copy);
        let (here, there) = (SourceTree::open(&app).unwrap(), SourceTree::open(&copy).unwrap());
        for builder in builders() {
            let settings = Settings::default();
            assert_eq!(builder.plan(&here, &settings), builder.plan(&there, &settings), "{}", app.display());
        }
    }
}

fn symlink_free_copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            symlink_free_copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn an_empty_tree_and_an_unknown_one_are_nobodys() {
    let empty = tempfile::tempdir().unwrap();
    let unknown = tempfile::tempdir().unwrap();
    std::fs::write(unknown.path().join("program.cob"), "IDENTIFICATION DIVISION.").unwrap();
    for folder in [empty.path(), unknown.path()] {
        let source = SourceTree::open(folder).unwrap();
        for builder in builders() {
            assert_eq!(builder.detect(&source, &Settings::default()), None, "{}", builder.name());
        }
        assert_eq!(broken(folder, &Settings::default()), [""; 0]);
    }
}

/// Names that builders look for, taken from the examples themselves.
fn manifests() -> Vec<String> {
    let mut names: Vec<String> =
        apps().iter().flat_map(|app| SourceTree::open(app).unwrap().list("")).collect();
    let hidden =
        [".tool-versions", ".ruby-version", ".java-version", "rust-toolchain.toml", "system.properties"];
    names.extend(hidden.map(str::to_owned));
    names.sort();
    names.dedup();
    names.retain(|name| name.contains('.') || name.ends_with("file"));
    names
}

#[test]
fn hostile_manifests_are_refused_or_survived() {
    let long = "{\"a\":[".repeat(20_000);
    let texts: [&[u8]; 6] =
        [b"", b"\xff\xfe\x00", b"{", b"[[[", long.as_bytes(), "é\u{202e}\n\r\n\t\"'#{:(".as_bytes()];
    for text in texts {
        let folder = tempfile::tempdir().unwrap();
        for name in manifests() {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(broken(folder.path(), &Settings::default()), [""; 0]);
    }
}

#[test]
fn folders_and_links_in_the_place_of_manifests_are_as_good_as_absent() {
    let folders = tempfile::tempdir().unwrap();
    let links = tempfile::tempdir().unwrap();
    for name in manifests() {
        std::fs::create_dir(folders.path().join(&name)).unwrap();
        symlink("/etc/passwd", links.path().join(&name)).unwrap();
    }
    assert_eq!(broken(folders.path(), &Settings::default()), [""; 0]);
    assert_eq!(broken(links.path(), &Settings::default()), [""; 0]);
    let source = SourceTree::open(links.path()).unwrap();
    for builder in builders() {
        assert_eq!(builder.detect(&source, &Settings::default()), None, "{}", builder.name());
    }
}
