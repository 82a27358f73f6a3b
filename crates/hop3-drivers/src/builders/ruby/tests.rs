// SPDX-License-Identifier: Apache-2.0
//! What is read from Gemfile and Gemfile.lock.

use super::Gems;

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
