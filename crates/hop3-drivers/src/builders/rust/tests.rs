// SPDX-License-Identifier: Apache-2.0
//! Which programs a Cargo.toml describes.

use super::Rust;
use hop3_core::driver::Builder;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

/// The `web` command of a tree of files, or the problem.
fn web(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let source = SourceTree::open(folder.path()).unwrap();
    match Rust.plan(&source, &Settings::default()) {
        Ok(plan) => plan.processes.values().map(|command| command.display()).collect(),
        Err(problem) => problem.render(),
    }
}

const SHOP: &str = "[package]\nname = \"shop\"\n";

#[test]
fn the_program_of_a_package_or_of_a_workspace_member_is_web() {
    assert_eq!(web(&[("Cargo.toml", SHOP), ("src/main.rs", "")]), "bin/shop");
    let named = "[package]\nname = \"shop\"\n[[bin]]\nname = \"till\"\npath = \"src/main.rs\"\n";
    assert_eq!(web(&[("Cargo.toml", named), ("src/main.rs", "")]), "bin/till");
    let members = "[workspace]\nmembers = [\"crates/*\"]\n";
    let library = "[package]\nname = \"lib\"\n";
    let files = [
        ("Cargo.toml", members),
        ("crates/shop/Cargo.toml", SHOP),
        ("crates/shop/src/main.rs", ""),
        ("crates/lib/Cargo.toml", library),
        ("crates/lib/src/lib.rs", ""),
    ];
    assert_eq!(web(&files), "bin/shop");
}

#[test]
fn the_default_program_wins_and_doubt_is_a_problem() {
    let two = [("Cargo.toml", SHOP), ("src/bin/a.rs", ""), ("src/bin/b/main.rs", "")];
    expect_test::expect![[r#"
        error[build.which-program]: Cargo.toml describes several programs
          they are: a, b
        hint: say in a Procfile which one answers HTTP: web: bin/a
    "#]]
    .assert_eq(&web(&two));
    let chosen = "[package]\nname = \"shop\"\ndefault-run = \"b\"\n";
    assert_eq!(web(&[("Cargo.toml", chosen), two[1], two[2]]), "bin/b");
}

#[test]
fn bad_toml_is_shown_where_it_is() {
    expect_test::expect![[r#"
        error[source.bad-toml]: Cargo.toml is not valid TOML
          --> Cargo.toml:2:7
           | name =
           |       ^
          string values must be quoted, expected literal string
    "#]]
    .assert_eq(&web(&[("Cargo.toml", "[package]\nname =\n")]));
}
