// SPDX-License-Identifier: Apache-2.0
//! Which version files ask for, in which order.

use super::{bare_version, pinned};
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

fn asked(files: &[(&str, &str)], settings: &Settings) -> Option<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let source = SourceTree::open(folder.path()).unwrap();
    let pin = pinned(&source, settings, "go", ".go-version", "golang").unwrap();
    pin.map(|pin| (pin.version, pin.source))
}

#[test]
fn hop3_toml_wins_over_the_version_file_which_wins_over_tool_versions() {
    let files =
        [(".go-version", "\n# ours\nv1.22.1\n"), (".tool-versions", "ruby 3.1.2\ngolang 1.21.0 # old\n")];
    let mut settings = Settings::default();
    let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
    assert_eq!(asked(&files[1..], &settings), pair("1.21.0", ".tool-versions"));
    assert_eq!(asked(&files, &settings), pair("1.22.1", ".go-version"));
    settings.build.versions.insert("go".into(), "1.23".into());
    assert_eq!(asked(&files, &settings), pair("1.23", "hop3.toml"));
    assert_eq!(asked(&[], &Settings::default()), None);
    assert_eq!(asked(&[(".go-version", "# nothing\n")], &Settings::default()), None);
}

#[test]
fn products_and_builds_are_taken_off_versions() {
    let all = ["ruby-3.1.2", "v1.2", "temurin-17.0.9+9", "1.14.2-otp-25", "3", "system"];
    let bare = all.map(bare_version);
    assert_eq!(bare, ["3.1.2", "1.2", "17.0.9", "1.14.2", "3", "system"]);
}
