// SPDX-License-Identifier: Apache-2.0
//! Plugins: the way of their author, from `hop3 plugin new` to an app that was built by one; and the samples.

use crate::harness::{Hop, example, skip};
use std::path::Path;
use std::process::Command;

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// An app that only a plugin can build.
fn made_by_make(hop: &Hop) -> crate::harness::Repository {
    let tree = hop.scratch().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let makefile = "all:\n\tmkdir -p public\n\techo made > public/index.html\nrun:\n\tcd public && exec python3 -m http.server $$PORT\n";
    std::fs::write(tree.join("Makefile"), makefile).unwrap();
    hop.repository("made", &tree)
}

/// What the sample in Python and its app need.
pub(crate) fn lacks_tools(test: &str) -> bool {
    let lacks = !is_there("python3") || !is_there("make");
    if lacks {
        skip(test, "python3 and make are needed");
    }
    lacks
}

#[test]
fn from_plugin_new_to_an_app_that_is_built_by_it() {
    if lacks_tools("from_plugin_new_to_an_app_that_is_built_by_it") {
        return;
    }
    let hop = Hop::start();
    let repository = made_by_make(&hop);
    let refused = repository.push(&hop.remote("made"), "main");
    assert!(!refused.ok && refused.text.contains("build.nothing-recognised"), "{}", refused.text);

    hop.hop3_in(hop.scratch(), ["plugin", "new", "workshop", "--lang", "python"]).expect_ok();
    let program = hop.scratch().join("workshop/hop3-plugin-workshop");
    let lines = std::fs::read_to_string(&program).unwrap().lines().count();
    assert!(lines < 30, "{lines} lines");

    let folder = hop.scratch().join("workshop");
    let unsigned = hop.hop3(["plugin".as_ref(), "install".as_ref(), folder.as_os_str()]);
    assert!(!unsigned.ok && unsigned.text.contains("plugin.unsigned"), "{}", unsigned.text);
    install(&hop, &folder);
    let listed = hop.json(["plugin", "list", "--json"]);
    assert_eq!(listed[0]["introduction"]["name"], "workshop");
    assert_eq!(listed[0]["enabled"], true);

    let pushed = repository.push(&hop.remote("made"), "main");
    assert!(pushed.ok, "{}\n{}", pushed.text, hop.operator_log());
    assert!(pushed.text.contains("workshop: the Makefile has a target run"), "{}", pushed.text);
    assert_eq!(hop.get("made", "/").text(), "made\n");
}

/// Installs a plugin and agrees to what it wants.
pub(crate) fn install(hop: &Hop, folder: &Path) {
    let path = folder.to_str().unwrap();
    hop.hop3(["plugin", "install", path, "--unsigned", "--yes"]).expect_ok();
}

#[test]
fn a_plugin_that_is_disabled_or_removed_is_not_asked() {
    if lacks_tools("a_plugin_that_is_disabled_or_removed_is_not_asked") {
        return;
    }
    let hop = Hop::start();
    // The program alone will do.
    install(&hop, &example("plugins/maker/hop3-plugin-maker"));
    let repository = made_by_make(&hop);
    let push = || repository.push(&hop.remote("made"), "main");
    hop.hop3(["plugin", "disable", "maker"]).expect_ok();
    assert!(push().text.contains("build.nothing-recognised"));
    hop.hop3(["plugin", "enable", "maker", "--yes"]).expect_ok();
    assert!(push().ok);
    assert!(!hop.hop3(["plugin", "remove", "maker"]).ok, "nobody has confirmed it");
    hop.hop3(["plugin", "remove", "maker", "--confirm", "maker"]).expect_ok();
    repository.commit("again");
    assert!(push().text.contains("build.nothing-recognised"));
    assert!(!hop.root().join("plugins/maker").exists());
    // What it has built goes on.
    assert_eq!(hop.get("made", "/").text(), "made\n");
}
