// SPDX-License-Identifier: Apache-2.0
//! What is read from Gemfile and Gemfile.lock.

use super::{Gems, Ruby};
use hop3_core::driver::Builder;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

const LOCK: &str = "GEM\n  specs:\n    puma (6.4.2)\n      nio4r (~> 2.0)\n    rack (3.0)\n\nPLATFORMS\n  ruby\n\nRUBY VERSION\n   ruby 3.1.2p20\n";

#[test]
fn the_gemfile_alone_names_gems_and_ruby() {
    let gems = Gems::parse(
        Some("source 'x'\nruby '3.2.1'\ngem \"sinatra\", '~> 3'\n# gem 'no'\n  gem('puma')\n"),
        None,
    );
    assert_eq!(gems.names, ["sinatra", "puma"]);
    assert_eq!(gems.ruby, Some(("3.2.1".into(), "Gemfile")));
    assert!(!gems.is_locked);
}

#[test]
fn the_lock_file_knows_every_gem_and_the_version_of_ruby() {
    let gems = Gems::parse(Some("gem 'puma'\n"), Some(LOCK));
    assert_eq!(gems.names, ["puma", "rack"]);
    assert_eq!(gems.ruby, Some(("3.1.2".into(), "Gemfile.lock")));
    assert!(gems.has("rack") && !gems.has("nio4r"));
}

/// What a tree of files is built and started with.
fn plan(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let source = SourceTree::open(folder.path()).unwrap();
    let plan = Ruby.plan(&source, &Settings::default()).unwrap();
    let steps = plan.layers.iter().flat_map(|layer| &layer.steps).chain(&plan.steps);
    let lines = steps.map(|step| &step.command).chain(plan.processes.values()).map(|c| c.display() + "\n");
    lines.chain(plan.warnings.iter().map(|warning| format!("warning: {warning}\n"))).collect()
}

#[test]
fn rails_compiles_its_assets_and_is_served_by_puma() {
    let lock = LOCK.replace("    rack (3.0)", "    rack (3.0)\n    rails (7.1.0)");
    let files = [
        ("Gemfile", "gem 'rails'\n"),
        ("Gemfile.lock", lock.as_str()),
        ("config.ru", ""),
        ("bin/rails", ""),
        ("app/assets/x", ""),
    ];
    expect_test::expect![[r#"
        bundle install --jobs 4
        bundle exec rails assets:precompile
        /bin/sh -c exec bundle exec puma -b "tcp://$BIND_ADDRESS:$PORT"
    "#]]
    .assert_eq(&plan(&files));
}

#[test]
fn sinatra_without_a_config_ru_starts_itself() {
    expect_test::expect![[r#"
        cp Gemfile {layer:gems}/Gemfile
        bundle install --jobs 4
        /bin/sh -c exec bundle exec ruby app.rb -o "$BIND_ADDRESS" -p "$PORT"
        warning: there is no Gemfile.lock: run "bundle lock" and commit it, so that every build uses the same gems
    "#]].assert_eq(&plan(&[("Gemfile", "gem 'sinatra'\n"), ("app.rb", "")]));
}

#[test]
fn the_gems_of_the_machine_are_enough_for_a_config_ru() {
    expect_test::expect![[r#"
        /bin/sh -c exec rackup -o "$BIND_ADDRESS" -p "$PORT"
        warning: there is no Gemfile: only the gems of the machine can be used; "bundle init" makes one
    "#]]
    .assert_eq(&plan(&[("config.ru", "")]));
}
