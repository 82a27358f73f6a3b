// SPDX-License-Identifier: Apache-2.0
//! Trees that git itself packed (corpus B09 to B12, B21, B22), hostile ones written with `git mktree`.

use super::{Command, Place, Stdio, fs, mode};
use std::io::Write;
use std::path::Path;

fn git(dir: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    try_git(dir, arguments, input).unwrap_or_else(|| panic!("git {arguments:?}"))
}

/// `None` when git refuses.
fn try_git(dir: &Path, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new("git")
        .args(["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .envs([("PATH", std::env::var("PATH").unwrap()), ("HOME", "/nonexistent".to_owned())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is needed for the tests");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    output.status.success().then_some(output.stdout)
}

fn line(output: Vec<u8>) -> String {
    String::from_utf8(output).unwrap().trim().to_owned()
}

/// Mode, name, content.
type TreeEntry<'a> = (&'a str, &'a str, &'a str);

/// A commit of a tree given as lines of `git mktree`, nested trees made first.
fn commit(dir: &Path, entries: &[TreeEntry]) -> String {
    git(dir, &["init", "-q"], b"");
    let mut tree = Vec::new();
    for (mode, name, content) in entries {
        let (kind, id) = match *mode {
            "040000" => {
                let blob = line(git(dir, &["hash-object", "-w", "--stdin"], content.as_bytes()));
                let inner = format!("100644 blob {blob}\tinner\0");
                ("tree", line(git(dir, &["mktree", "-z"], inner.as_bytes())))
            }
            _ => ("blob", line(git(dir, &["hash-object", "-w", "--stdin"], content.as_bytes()))),
        };
        tree.extend_from_slice(format!("{mode} {kind} {id}\t{name}\0").as_bytes());
    }
    let tree = line(git(dir, &["mktree", "-z"], &tree));
    line(git(dir, &["commit-tree", "-m", "\u{1b}[2Jevil", &tree], b""))
}

/// git does not even pack such a tree (and `receive.fsckObjects` does not take it).
const GIT_REFUSES: &str = "";

#[test]
fn hostile_trees() {
    let corpus: &[(&str, &[TreeEntry])] = &[
        ("source.link-outside", &[("120000", "etc", "/etc")]),
        ("source.link-outside", &[("120000", "out", "../other")]),
        ("source.link-outside", &[("120000", "Procfile", "/etc/passwd")]),
        ("source.link-outside", &[("120000", ".env", "../../secret.key")]),
        (GIT_REFUSES, &[("040000", ".git", "x")]),
        (GIT_REFUSES, &[("040000", ".GIT", "x")]),
        (GIT_REFUSES, &[("040000", ".git ", "x")]),
        (GIT_REFUSES, &[("040000", "git~1", "x")]),
        (GIT_REFUSES, &[("040000", "..", "x")]),
        // A link, then a folder of the same name: git writes such trees when told to.
        ("source.conflicting-entry", &[("120000", "d", "other"), ("040000", "d", "x")]),
    ];
    for (code, entries) in corpus {
        let dir = tempfile::tempdir().unwrap();
        let id = commit(dir.path(), entries);
        let archive = try_git(dir.path(), &["archive", "--format=tar", &id], b"");
        assert_eq!(archive.is_none(), *code == GIT_REFUSES, "{entries:?}");
        let Some(archive) = archive else { continue };
        let problem = Place::new().unpack(&archive).expect_err(&format!("{entries:?}"));
        assert_eq!(problem.code, *code, "{entries:?}: {problem}");
    }
}

#[test]
fn an_honest_tree_is_as_git_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{}.txt", "n".repeat(180));
    let entries = [
        ("100644", "A", "upper"),
        ("100644", "a", "lower"),
        ("100644", "line\nbreak", "newline"),
        ("100755", "run", "#!/bin/true"),
        ("120000", "itself", "itself"),
        ("120000", "to-a", "a"),
        ("100644", long.as_str(), "long"),
        ("040000", "sub", "inner"),
        // A filter is a command of the repository's config, which a push cannot write.
        ("100644", ".gitattributes", "a filter=evil\n"),
    ];
    let id = commit(dir.path(), &entries);
    let archive = git(dir.path(), &["archive", "--format=tar", &id], b"");
    let place = Place::new();
    let found = place.unpack(&archive).unwrap();
    let tree = place.tree();
    assert_eq!(found.commit, Some(id));
    assert_eq!(found.files, 7);
    assert_eq!(fs::read_to_string(tree.join("a")).unwrap(), "lower");
    assert_eq!(fs::read_to_string(tree.join("line\nbreak")).unwrap(), "newline");
    assert_eq!(fs::read_to_string(tree.join("to-a")).unwrap(), "lower");
    assert_eq!(fs::read_to_string(tree.join(&long)).unwrap(), "long");
    assert_eq!(fs::read_to_string(tree.join("sub/inner")).unwrap(), "inner");
    assert_eq!(mode(&tree.join("run")), 0o755);
}
