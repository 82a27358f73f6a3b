// SPDX-License-Identifier: Apache-2.0
//! Every app in `examples/apps` has the plan in its `expected/plan.json`. `UPDATE_EXPECT=1` rewrites them.

use hop3_core::source::SourceTree;
use std::path::Path;

#[test]
fn every_example_app_has_the_expected_plan() {
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/apps");
    for entry in std::fs::read_dir(apps).unwrap() {
        let app = entry.unwrap().path();
        let source = SourceTree::open(&app).unwrap();
        let settings = hop3_core::config::load(&source).unwrap();
        let builders = hop3_drivers::builders::builders();
        let builder = builders.iter().find(|builder| builder.detect(&source, &settings).is_some());
        let builder = builder.unwrap_or_else(|| panic!("no builder takes {}", app.display()));
        let plan = builder.plan(&source, &settings).unwrap();
        let text = serde_json::to_string_pretty(&plan).unwrap() + "\n";
        expect_test::expect_file![app.join("expected/plan.json")].assert_eq(&text);
    }
}
