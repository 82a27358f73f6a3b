// SPDX-License-Identifier: Apache-2.0
//! Which folder of a PHP app answers, and what is refused.

use super::Php;
use hop3_core::driver::Builder;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

/// The folder and router handed to PHP's server, or the problem.
fn served(files: &[(&str, &str)], document_root: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let source = SourceTree::open(folder.path()).unwrap();
    let mut settings = Settings::default();
    settings.build.document_root = document_root.map(str::to_owned);
    match Php.plan(&source, &settings) {
        Ok(plan) => plan.processes.values().flat_map(|c| c.argv().split_off(4)).collect::<Vec<_>>().join(" "),
        Err(problem) => problem.render(),
    }
}

#[test]
fn the_document_root_is_the_usual_folder_or_what_the_author_says() {
    let page = ("public/index.php", "");
    assert_eq!(served(&[page], None), "public");
    assert_eq!(served(&[("index.php", "")], None), ".");
    assert_eq!(served(&[page, ("router.php", "")], None), "public router.php");
    assert_eq!(served(&[page, ("my site/a.php", "")], Some("my site")), "my site");
}

#[test]
fn an_absent_document_root_and_a_broken_composer_json_are_shown() {
    expect_test::expect![[r#"
        error[build.no-document-root]: the document root ../etc is not a folder of the app
        hint: write it relative to the top of the app, for example: document-root = "public"
    "#]]
    .assert_eq(&served(&[("index.php", "")], Some("../etc")));
    expect_test::expect![[r#"
        error[source.bad-json]: composer.json is not valid JSON
          --> composer.json:2:15
           |   "require": {,}
           |               ^
          key must be a string at line 2 column 15
    "#]]
    .assert_eq(&served(&[("composer.json", "{\n  \"require\": {,}\n}\n")], None));
}
