// SPDX-License-Identifier: Apache-2.0
//! What a push means: ref updates in, decision out.

use super::{DeployTarget, HookEnv, Quarantine, archive, check_branch, pre_receive};
use crate::git::Repository;
use expect_test::{Expect, expect};
use std::io::Read;

const NONE: &str = "0000000000000000000000000000000000000000";
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn check(updates: &[(&str, &str, &str)], settled: bool, expected: &Expect) {
    let target = DeployTarget { branch: "main".to_owned(), settled };
    let text: String = updates.iter().map(|(old, new, name)| format!("{old} {new} {name}\n")).collect();
    let shown = match pre_receive(text.as_bytes(), &target) {
        Ok(decision) => {
            let deploy = match decision.deploy {
                Some(deploy) => format!("deploy {} from {}\n", &deploy.commit[..7], deploy.branch),
                None => "deploy nothing\n".to_owned(),
            };
            decision.notes.iter().fold(deploy, |text, note| text + note + "\n")
        }
        Err(problem) => problem.render(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn the_deploy_branch_is_deployed_and_nothing_else() {
    check(
        &[(NONE, A, "refs/heads/main")],
        true,
        &expect![[r#"
        deploy aaaaaaa from main
    "#]],
    );
    check(
        &[(A, B, "refs/heads/feature/x"), (NONE, B, "refs/tags/v1"), (NONE, B, "refs/notes/commits")],
        true,
        &expect![[r#"
            deploy nothing
            pushed to feature/x, which is not the deploy branch main: nothing is deployed (git push hop3 feature/x:main deploys it; hop3 app branch feature/x makes it the deploy branch)
            pushed to refs/tags/v1, which is not the deploy branch main: nothing is deployed
            pushed to refs/notes/commits, which is not the deploy branch main: nothing is deployed
        "#]],
    );
    check(
        &[(A, B, "refs/heads/feature"), (A, B, "refs/heads/main")],
        true,
        &expect![[r#"
            deploy bbbbbbb from main
        "#]],
    );
    check(
        &[],
        true,
        &expect![[r#"
        deploy nothing
    "#]],
    );
}

#[test]
fn deleting() {
    check(
        &[(A, NONE, "refs/heads/feature")],
        true,
        &expect![[r#"
        deploy nothing
    "#]],
    );
    check(
        &[(A, NONE, "refs/heads/main")],
        true,
        &expect![[r#"
        error[git.deletes-deploy-branch]: main is what the app is deployed from
        hint: to remove the app: hop3 app destroy; to deploy another branch: hop3 app branch
    "#]],
    );
}

#[test]
fn a_first_push_of_master_chooses_master() {
    check(
        &[(NONE, A, "refs/heads/master")],
        false,
        &expect![[r#"
        deploy aaaaaaa from master
        the first push is of master: it is the deploy branch from now on
    "#]],
    );
    check(
        &[(NONE, A, "refs/heads/master")],
        true,
        &expect![[r#"
            deploy nothing
            pushed to master, which is not the deploy branch main: nothing is deployed (git push hop3 master:main deploys it; hop3 app branch master makes it the deploy branch)
        "#]],
    );
    check(
        &[(NONE, A, "refs/heads/master"), (NONE, B, "refs/heads/main")],
        false,
        &expect![[r#"
            deploy bbbbbbb from main
        "#]],
    );
    check(
        &[(A, NONE, "refs/heads/master")],
        false,
        &expect![[r#"
        deploy nothing
    "#]],
    );
}

#[test]
fn hostile_ref_names_change_nothing() {
    let corpus = ["main;touch /tmp/p", "-rf", "$(id)", "main\u{202e}x", "`id`", "{{7*7}}", "Main", "main.x"];
    for name in corpus {
        let target = DeployTarget { branch: "main".to_owned(), settled: true };
        let line = format!("{NONE} {A} refs/heads/{name}\n");
        match pre_receive(line.as_bytes(), &target) {
            Ok(decision) => {
                assert_eq!(decision.deploy, None, "{name}");
                assert!(!decision.notes[0].contains('\u{202e}'));
            }
            Err(problem) => assert_eq!(problem.code, "git.bad-update", "{name}"),
        }
    }
    let malformed = [
        "refs/heads/../../x",
        "refs/heads/a\tb",
        "refs/heads/\u{1b}[2J",
        "refs/heads//x",
        "refs/heads/x.lock",
        "refs/heads/.x",
        "refs/heads/a@{1}",
        "HEAD",
        "",
    ];
    for name in malformed {
        let line = format!("{NONE} {A} {name}\n");
        let problem =
            pre_receive(line.as_bytes(), &DeployTarget { branch: "main".to_owned(), settled: true });
        assert_eq!(problem.unwrap_err().code, "git.bad-update", "{name:?}");
    }
    for line in ["x", "a b c", &format!("{A} {A}"), &format!("{A} -rf refs/heads/main")] {
        let target = DeployTarget { branch: "main".to_owned(), settled: true };
        assert_eq!(pre_receive(line.as_bytes(), &target).unwrap_err().code, "git.bad-update", "{line:?}");
    }
}

#[test]
fn many_refs_are_told_briefly() {
    let text: String = (0..500).map(|i| format!("{NONE} {A} refs/heads/b{i}\n")).collect();
    let target = DeployTarget { branch: "main".to_owned(), settled: true };
    let notes = pre_receive(text.as_bytes(), &target).unwrap().notes;
    assert_eq!(notes.len(), 11);
    assert_eq!(notes[10], "and 490 more");
}

#[test]
fn branch_names() {
    for name in ["main", "master", "release/1.2", "wîp"] {
        check_branch(name).unwrap();
    }
    for name in ["", "-x", "a b", "a..b", "a/", "/a", "a.lock", "a\nb", "a:b", "..", &"x".repeat(201)] {
        assert_eq!(check_branch(name).unwrap_err().code, "git.bad-branch", "{name:?}");
    }
}

#[test]
fn the_environment_of_the_hook_is_read_back() {
    let env = HookEnv {
        program: "/usr/bin/hop3".into(),
        root: "/var/lib/hop3".into(),
        app: "shop".parse().unwrap(),
        target: DeployTarget { branch: "main".to_owned(), settled: true },
        by: "laptop".to_owned(),
    };
    let variables = env.variables();
    let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    assert_eq!(HookEnv::from_variables(lookup).unwrap(), env);
    assert_eq!(HookEnv::from_variables(|_| None).unwrap_err().code, "git.not-by-hop3");
}

#[test]
fn only_a_commit_becomes_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::create(&dir.path().join("repo.git")).unwrap();
    let run = |arguments: [&str; 4]| {
        let output =
            repository.command(arguments).env("GIT_AUTHOR_NAME", "T").env("GIT_AUTHOR_EMAIL", "t").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let tree = run(["hash-object", "-w", "-ttree", "/dev/null"]);
    let commit = run(["commit-tree", "-m", "x", &tree]);
    let mut child = archive(&repository, &commit, &Quarantine::default()).unwrap();
    let mut tar = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut tar).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(tar.len() >= 1024);
    for other in [tree.as_str(), A, "--output=/tmp/hop3-canary"] {
        let problem = archive(&repository, other, &Quarantine::default()).err().unwrap();
        assert_eq!(problem.code, "git.not-a-commit", "{other}");
    }
}
