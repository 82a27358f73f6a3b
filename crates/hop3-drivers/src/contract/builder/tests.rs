// SPDX-License-Identifier: Apache-2.0
//! The suite finds what it is meant to find.

use super::{broken_rules, placeholders};
use hop3_core::Problem;
use hop3_core::driver::{Builder, Detected};
use hop3_core::plan::{BuildPlan, Layer, Step};
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

/// Breaks every rule that one plan can break.
struct Bad;

impl Builder for Bad {
    fn name(&self) -> &'static str {
        "Bad one"
    }

    fn looks_for(&self) -> &'static str {
        ""
    }

    fn detect(&self, _source: &SourceTree, _settings: &Settings) -> Option<Detected> {
        Some(Detected { reason: String::new() })
    }

    fn plan(&self, _source: &SourceTree, _settings: &Settings) -> Result<BuildPlan, Problem> {
        let mut step = Step::new("Twice", Command::exec(["{layer:later}", "{cache:none}"]));
        step.cwd = "../elsewhere".into();
        let empty = Step::new("Twice", Command::Exec(Vec::new()));
        let layer = |name: &str, steps| Layer {
            name: name.into(),
            inputs: vec!["absent".into()],
            steps,
            links: Default::default(),
        };
        Ok(BuildPlan {
            builder: "other".into(),
            layers: vec![layer("first", vec![step]), layer("later", vec![empty])],
            env: [("A-B".to_owned(), "{cache:x}".to_owned())].into(),
            caches: vec!["x".into()],
            keep: vec!["/etc".into()],
            ..BuildPlan::default()
        })
    }
}

#[test]
fn a_builder_that_breaks_rules_is_told_which() {
    let folder = tempfile::tempdir().unwrap();
    let source = SourceTree::open(folder.path()).unwrap();
    let told = broken_rules(&Bad, &source, &Settings::default()).join("\n") + "\n";
    expect_test::expect![[r#"
        its name is not a lower-case word
        it does not say what it looks for
        it does not say why it takes the source
        the plan is signed by another builder
        the plan gives no reason
        the step "Twice" is there twice
        the plan sets the impossible variable "A-B"
        the input "absent" is not there
        the input "absent" is not there
        it keeps "/etc", which is outside the app
        the step "Twice" works outside the app
        the step "Twice" has no command
        nothing fills in {layer:later} in "Twice"
        nothing fills in {cache:none} in "Twice"
        nothing fills in {cache:x} in "env"
    "#]]
    .assert_eq(&told);
}

#[test]
fn braces_of_other_languages_are_no_placeholders() {
    let text = "{app}/x ${HOME} {cache:go-mod} {} { a: 1 } ${jar##*/} {A}";
    assert_eq!(placeholders(text), ["{app}", "{cache:go-mod}"]);
}
