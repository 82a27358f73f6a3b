// SPDX-License-Identifier: Apache-2.0
//! What is sent of a directory, in real directories.

use super::pack;
use expect_test::expect;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use tempfile::TempDir;

fn tree(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

fn bytes(directory: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    pack(directory, &mut out).unwrap();
    out
}

/// One line per entry: kind, mode, name, size or target.
fn list(directory: &Path) -> String {
    let bytes = bytes(directory);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut text = String::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        let (kind, what) = match entry.link_name().unwrap() {
            Some(target) => ("link", target.display().to_string()),
            None => ("file", header.size().unwrap().to_string()),
        };
        let path = entry.path().unwrap().display().to_string();
        text += &format!("{kind} {:o} {path} {what}\n", header.mode().unwrap());
    }
    text
}

#[test]
fn ignore_files_are_honoured_and_products_left_out() {
    let directory = tree(&[
        ("app.py", "x"),
        (".env.example", ""),
        (".gitignore", "*.log\nsecret/\n!keep.log\n"),
        (".hop3ignore", "docs/\n"),
        ("a.log", ""),
        ("keep.log", ""),
        ("secret/key", ""),
        ("docs/a.md", ""),
        ("sub/.gitignore", "local\n"),
        ("sub/local", ""),
        ("sub/other", ""),
        (".git/HEAD", ""),
        ("node_modules/x/i.js", ""),
        ("web/node_modules/y.js", ""),
        (".venv/bin/python", ""),
        ("myenv/pyvenv.cfg", ""),
        ("pkg/__pycache__/a.pyc", ""),
        ("target/notes.txt", "not a build: nothing here makes one"),
        ("rust/Cargo.toml", ""),
        ("rust/target/debug/x", ""),
    ]);
    expect![[r#"
        file 644 .env.example 0
        file 644 .gitignore 24
        file 644 .hop3ignore 6
        file 644 app.py 1
        file 644 keep.log 0
        file 644 rust/Cargo.toml 0
        file 644 sub/.gitignore 6
        file 644 sub/other 0
        file 644 target/notes.txt 35
    "#]]
    .assert_eq(&list(directory.path()));
}

#[test]
fn a_directory_of_a_repository_follows_the_rules_above_it_but_not_beyond_the_repository() {
    let outside = tree(&[
        (".gitignore", "*.txt\n"),
        ("repo/.git/HEAD", ""),
        ("repo/.gitignore", "*.env\n"),
        ("repo/app/a.env", ""),
        ("repo/app/a.txt", ""),
    ]);
    expect![[r#"
        file 644 a.txt 0
    "#]]
    .assert_eq(&list(&outside.path().join("repo/app")));
}

#[test]
fn links_stay_links_and_pipes_stay_home() {
    let directory = tree(&[("real/file", "12345")]);
    let at = |name: &str| directory.path().join(name);
    symlink("/etc/passwd", at("outside")).unwrap();
    symlink("real", at("inside")).unwrap();
    symlink("self", at("self")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    expect![[r#"
        link 777 dangling nowhere
        link 777 inside real
        link 777 outside /etc/passwd
        file 644 real/file 5
        link 777 self self
    "#]]
    .assert_eq(&list(directory.path()));
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let files = [("b", "2"), ("a/z", "1"), ("a/b", ""), ("run.sh", "#!")];
    let (one, two) = (tree(&files), tree(&files));
    for (directory, mode) in [(&one, 0o755), (&two, 0o700)] {
        fs::set_permissions(directory.path().join("run.sh"), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::File::open(two.path().join("b")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(bytes(one.path()), bytes(two.path()));
}

#[test]
fn long_and_strange_names_survive() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let directory = tree(&[(&long, "x"), ("new\nline", "x"), ("-rf", "x"), ("é", "x")]);
    let text = list(directory.path());
    assert!(text.contains(&long), "{text}");
    assert!(text.contains("new\nline") && text.contains("-rf") && text.contains('é'), "{text}");
}

#[test]
fn a_file_is_not_a_directory() {
    let directory = tree(&[("a", "")]);
    let problem = pack(&directory.path().join("a"), Vec::new()).unwrap_err();
    assert_eq!(problem.code, "cli.not-a-directory");
}
