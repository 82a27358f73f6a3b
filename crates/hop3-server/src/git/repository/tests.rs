// SPDX-License-Identifier: Apache-2.0
//! Making a repository: again, at once, after a crash in the middle; what git in it obeys.

use super::Repository;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn config(repository: &Repository, key: &str) -> String {
    String::from_utf8(repository.command(["config", "--get", key]).output().unwrap().stdout).unwrap()
}

#[test]
fn a_repository_is_made_once_and_repaired_when_half_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("apps/shop/repo.git");
    assert_eq!(Repository::open(&path).unwrap_err().code, "git.no-repository");
    assert!(!dir.path().join("apps").exists());
    Repository::create(&path).unwrap();
    let hook = path.join("hooks/pre-receive");
    assert_eq!(fs::metadata(&hook).unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!(fs::read_to_string(path.join("HEAD")).unwrap(), "ref: refs/heads/main\n");
    for lost in ["hooks/pre-receive", "HEAD", "config"] {
        fs::remove_file(path.join(lost)).unwrap();
        assert!(Repository::open(&path).is_err());
        Repository::create(&path).unwrap();
        assert!(path.join(lost).exists());
    }
    fs::write(&hook, "#!/bin/sh\nexit 0\n").unwrap();
    Repository::create(&path).unwrap();
    assert!(fs::read_to_string(&hook).unwrap().contains("HOP3_PROGRAM"));
}

#[test]
fn many_may_make_the_same_repository_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("repo.git");
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| Repository::create(&path).map(|_| ()))).collect();
        all.into_iter().for_each(|one| one.join().unwrap().unwrap());
    });
    let repository = Repository::open(&path).unwrap();
    repository.tidy().unwrap();
    repository.follow("master").unwrap();
    assert_eq!(fs::read_to_string(path.join("HEAD")).unwrap(), "ref: refs/heads/master\n");
}

#[test]
fn git_obeys_these_settings_whatever_the_repository_says() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::create(&dir.path().join("repo.git")).unwrap();
    let hostile = "[core]\n\tbare = true\n\trepositoryformatversion = 0\n\tfsmonitor = touch canary\n\
        [receive]\n\tfsckObjects = false\n[protocol]\n\tallow = always\n";
    fs::write(repository.path().join("config"), hostile).unwrap();
    assert_eq!(config(&repository, "receive.fsckObjects"), "true\n");
    assert_eq!(config(&repository, "core.fsmonitor"), "false\n");
    assert_eq!(config(&repository, "protocol.allow"), "never\n");
    assert_eq!(config(&repository, "user.name"), "");
    let fetch = repository.command(["fetch", "ext::touch canary"]).current_dir(dir.path()).output().unwrap();
    assert!(!fetch.status.success());
    assert!(!dir.path().join("canary").exists());
}
