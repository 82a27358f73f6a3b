// SPDX-License-Identifier: Apache-2.0
//! Files of apps, good and bad, beside the exact answer. `UPDATE_EXPECT=1` rewrites the answers.
//!
//! `valid/NAME.KIND` is read into the settings in `NAME.KIND.json`; `invalid/NAME.KIND` is refused with the text in
//! `NAME.KIND.problem.txt`. KIND is `toml`, `Procfile` or `app.json`.

use expect_test::expect_file;
use hop3_core::config::load;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;
use hop3_core::{Problem, config};
use std::fs;
use std::path::{Path, PathBuf};

/// Files of a folder that are input, by name.
fn inputs(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the test's own files can be read and copied")
        .map(|entry| entry.expect("the test's own files can be read and copied").path())
        .collect();
    files.retain(|file| name_in_app(file).is_some());
    files.sort();
    assert!(!files.is_empty());
    files
}

fn name_in_app(file: &Path) -> Option<&'static str> {
    let name = file.file_name()?.to_str()?;
    let kinds = [(".toml", "hop3.toml"), (".Procfile", "Procfile"), (".app.json", "app.json")];
    kinds.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, name)| *name)
}

fn load_files(files: &[(&str, Vec<u8>)]) -> Result<Settings, Problem> {
    let folder = tempfile::tempdir().expect("the test's own files can be read and copied");
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("the test's own files can be read and copied"))
            .expect("the test's own files can be read and copied");
        fs::write(path, content).expect("the test's own files can be read and copied");
    }
    load(&SourceTree::open(folder.path()).expect("the test's own files can be read and copied"))
}

fn load_alone(file: &Path) -> Result<Settings, Problem> {
    load_files(&[(
        name_in_app(file).expect("the test's own files can be read and copied"),
        fs::read(file).expect("the test's own files can be read and copied"),
    )])
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", file.display()))
}

#[test]
fn valid_files_become_settings() {
    for file in inputs("valid") {
        let settings = load_alone(&file).unwrap_or_else(|problem| panic!("{}: {problem}", file.display()));
        let text = serde_json::to_string_pretty(&settings).unwrap() + "\n";
        expect_file![beside(&file, ".json")].assert_eq(&text);
    }
}

#[test]
fn invalid_files_are_refused_with_a_text_that_helps() {
    for file in inputs("invalid") {
        let problem = load_alone(&file).expect_err(&file.display().to_string());
        assert!(problem.span.is_some() || problem.code.starts_with("source."), "{problem}");
        expect_file![beside(&file, ".problem.txt")].assert_eq(&problem.render());
    }
}

#[test]
fn the_toml_wins_over_the_procfile_process_by_process() {
    let toml = b"[run]\nstart = \"from toml\"\nbefore-run = \"toml\"\n".to_vec();
    let procfile = b"wsgi: a:b\nworker: from procfile\nprerun: procfile\nrelease: migrate\n".to_vec();
    let run = load_files(&[("hop3.toml", toml), ("Procfile", procfile)]).unwrap().run;
    let processes: Vec<_> = run.processes.iter().map(|(name, line)| (name.as_str(), line.as_str())).collect();
    assert_eq!(processes, [("web", "from toml"), ("worker", "from procfile")]);
    assert_eq!((run.wsgi, run.before, run.release), (None, vec!["toml".into()], vec!["migrate".into()]));
}

#[test]
fn the_folder_hop3_is_looked_into_first() {
    let files = [("hop3/Procfile", b"web: inner".to_vec()), ("Procfile", b"web: outer".to_vec())];
    let run = load_files(&files).unwrap().run;
    assert_eq!(run.processes.values().collect::<Vec<_>>(), ["inner"]);
}

#[test]
fn app_json_counts_only_without_a_toml() {
    let json = br#"{"env": {"A": "1"}}"#.to_vec();
    assert_eq!(load_files(&[("app.json", json.clone())]).unwrap().env.len(), 1);
    assert_eq!(load_files(&[("app.json", json), ("hop3.toml", b"".to_vec())]).unwrap().env.len(), 0);
}

#[test]
fn oversized_files_are_refused() {
    let line = [b"web: ".to_vec(), vec![b'a'; 70_000]].concat();
    assert_eq!(load_files(&[("Procfile", line)]).unwrap_err().code, "procfile.too-large");
    assert_eq!(load_files(&[("hop3.toml", vec![b'#'; 5 << 20])]).unwrap_err().code, "source.too-large");
}

#[test]
fn a_link_that_leads_out_is_as_good_as_absent() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "web: secret").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("Procfile")).unwrap();
    assert_eq!(load(&SourceTree::open(folder.path()).unwrap()).unwrap(), Settings::default());
}

#[test]
fn the_schema_and_the_reference_are_made_from_the_structs() {
    expect_file!["config/schema.json"].assert_eq(&config::json_schema());
    expect_file!["config/reference.md"].assert_eq(&config::reference_markdown());
}
