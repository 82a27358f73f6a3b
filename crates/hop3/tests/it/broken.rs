// SPDX-License-Identifier: Apache-2.0
//! Every app of `examples/broken-apps`: the push is declined with the text of `expected/problem.txt` (`UPDATE_EXPECT=1`
//! rewrites it), nothing of it is left, and a release that served before serves on.

use crate::harness::{Hop, example};
use expect_test::expect_file;
use std::collections::BTreeSet;

macro_rules! broken {
    ($($test:ident $app:literal;)*) => {
        const NAMES: &[&str] = &[$($app),*];
        $(#[test]
        fn $test() {
            is_declined($app);
        })*
    };
}

broken! {
    crash_at_start "crash-at-start";
    failing_build "failing-build";
    health_500 "health-500";
    hop3_toml_unknown_key "hop3-toml-unknown-key";
    missing_lock_entry "missing-lock-entry";
    not_listening "not-listening";
    nothing_recognised "nothing-recognised";
    procfile_syntax "procfile-syntax";
    wrong_python "wrong-python";
}

#[test]
fn every_folder_is_listed() {
    let folders = std::fs::read_dir(example("broken-apps")).unwrap().map(|entry| entry.unwrap().file_name());
    let folders: BTreeSet<String> = folders.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(folders, NAMES.iter().map(|name| (*name).to_owned()).collect());
}

fn is_declined(name: &str) {
    let hop = Hop::start();
    let tree = example(&format!("broken-apps/{name}"));
    first_push(&hop, name, &tree);
    later_push(&hop, &tree);
}

/// Of an app whose first push is declined, only the app is there.
fn first_push(hop: &Hop, name: &str, tree: &std::path::Path) {
    let pushed = hop.repository("new", tree).push(&hop.remote("new"), "main");
    assert!(!pushed.ok, "{}", pushed.text);
    assert!(pushed.text.contains("pre-receive hook declined"), "{}", pushed.text);
    expect_file![tree.join("expected/problem.txt")].assert_eq(&told(hop, &pushed.text));
    assert_eq!(hop.json(["app", "info", "new", "--json"])["release"], serde_json::Value::Null, "{name}");
    assert_eq!(built(hop), BTreeSet::new(), "{name}");
    assert_eq!(hop.instances("new").len(), 0, "{name}");
    assert_eq!(hop.get("new", "/").status, 503, "{name}");
}

/// The release that serves is not touched by a push that is declined.
fn later_push(hop: &Hop, tree: &std::path::Path) {
    let repository = hop.push("old", &example("apps/procfile-only"));
    let (page, things, instances) = (hop.get("old", "/").text(), built(hop), hop.instances("old"));
    assert_eq!(instances.len(), 1);
    repository.replace_with(tree);
    repository.commit("broken");
    let pushed = repository.push(&hop.remote("old"), "main");
    assert!(!pushed.ok, "{}", pushed.text);
    assert_eq!(hop.get("old", "/").text(), page);
    assert_eq!(hop.json(["app", "info", "old", "--json"])["release"], 1);
    assert_eq!(built(hop), things);
    let pids =
        |instances: &[serde_json::Value]| instances.iter().map(|i| i["pid"].clone()).collect::<Vec<_>>();
    assert_eq!(pids(&hop.instances("old")), pids(&instances));
}

/// Directories of artifacts and layers.
fn built(hop: &Hop) -> BTreeSet<String> {
    let inside = |kind: &str| {
        let entries = std::fs::read_dir(hop.root().join(kind)).into_iter().flatten();
        let kind = kind.to_owned();
        entries.map(move |entry| format!("{kind}/{}", entry.unwrap().file_name().display()))
    };
    inside("artifacts").chain(inside("layers")).collect()
}

/// The problem as the pusher reads it, with what differs from push to push replaced by names.
fn told(hop: &Hop, pushed: &str) -> String {
    let lines = pushed.lines().filter_map(|line| line.strip_prefix("remote: ").map(str::trim_end));
    let text: String = lines.skip_while(|line| !line.starts_with("error[")).flat_map(|l| [l, "\n"]).collect();
    let text = text.replace(&*hop.root().to_string_lossy(), "<root>");
    let text = named(&text, "127.0.0.1:", "<port>", |c| c.is_ascii_digit());
    let text = named(&text, "  installed: ", "<versions>", |c| c != '\n');
    named(&text, "  uv ended with exit status 2\n", "  <its own words>", |c| c != '\n')
}

/// Replaces what follows each `mark`.
fn named(text: &str, mark: &str, name: &str, belongs: fn(char) -> bool) -> String {
    let mut parts = text.split(mark);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + mark + name + part.trim_start_matches(belongs))
}
