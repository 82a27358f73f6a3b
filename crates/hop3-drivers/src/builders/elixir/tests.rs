// SPDX-License-Identifier: Apache-2.0
//! What is read from mix.exs.

use super::{Project, release};

#[test]
fn mix_exs_says_version_dependencies_and_framework() {
    let text = "elixir: \"~> 1.15\",\n[\n  {:phoenix, \"~> 1.7\"}, # web\n]\n\"assets.deploy\": [\"x\"],\n\"assets.deploy\"";
    let project = Project::parse(text);
    assert_eq!(project.elixir.as_deref(), Some("~> 1.15"));
    assert!(project.is_phoenix && project.has_dependencies && project.has_assets);
    assert!(!Project::parse("# {:plug, 1}\nmod: {Hello, []}").has_dependencies);
}

#[test]
fn only_a_single_release_is_run() {
    assert_eq!(release("releases: [\n  shop: [applications: [a: :permanent]]\n]"), Some("shop".into()));
    assert_eq!(release("releases: [shop: [include_executables_for: :unix]]"), Some("shop".into()));
    assert_eq!(release("releases: [a: [x: 1], b: [y: 2]]"), None);
    assert_eq!(release("deps: []"), None);
}
