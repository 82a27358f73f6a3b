// SPDX-License-Identifier: Apache-2.0
//! Hostile refs, trees and requests of git, sent by git itself where it lets us, by hand where it does not.

use super::{armed, assert_unharmed, canary};
use crate::harness::{Answer, Hop, Repository, Said, example};
use crate::probe;
use std::io::Write;
use std::process::Stdio;

/// Runs git with that input; gives the object it names.
pub(super) fn object(repository: &Repository, arguments: &[&str], input: &[u8]) -> String {
    let mut git = repository.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    git.stdin.take().unwrap().write_all(input).unwrap();
    let output = git.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn blob(repository: &Repository, text: &str) -> String {
    object(repository, &["hash-object", "-w", "--stdin"], text.as_bytes())
}

/// Mode, name, object.
pub(super) type Entry<'a> = (&'a str, &'a str, String);

/// A tree with exactly these entries, however wrong.
pub(super) fn tree(repository: &Repository, entries: &[Entry<'_>]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, object) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        let hex = |i: usize| u8::from_str_radix(&object[i..i + 2], 16).unwrap();
        bytes.extend((0..object.len()).step_by(2).map(hex));
    }
    object(repository, &["hash-object", "-t", "tree", "-w", "--literally", "--stdin"], &bytes)
}

pub(super) fn push_tree(hop: &Hop, repository: &Repository, app: &str, entries: &[Entry<'_>]) -> Said {
    let tree = tree(repository, entries);
    let commit = repository.git(["commit-tree", "-m", "hostile", &tree]).expect_ok().stdout;
    repository.push(&hop.remote(app), &format!("+{}:refs/heads/main", commit.trim()))
}

#[test]
fn trees_that_lead_outside_are_refused() {
    let hop = Hop::start();
    std::fs::write(hop.scratch().join("outside"), "canary-outside").unwrap();
    let repository = hop.push("site", &example("apps/static-hello"));
    let page = ("100644", "index.html", blob(&repository, "<p>hostile</p>"));
    let folder = |entry| tree(&repository, &[entry]);
    let text = |text: &str| blob(&repository, text);
    let outside = armed(&hop, "{canary}").replace("canary", "outside");
    let inner = tree(&repository, &[("100644", "x", text("x"))]);
    let cases: Vec<(&str, Vec<Entry<'_>>)> = vec![
        ("a link to /etc", vec![("120000", "etc", text("/etc"))]),
        ("a link to a file outside", vec![("120000", "leak", text(&outside))]),
        ("a link to another app", vec![("120000", "other", text("../../other"))]),
        ("the page is a link outside", vec![("120000", "index.html", text(&outside))]),
        ("the Procfile is a link outside", vec![("120000", "Procfile", text("/etc/passwd"))]),
        ("hop3.toml is a link outside", vec![("120000", "hop3.toml", text("/etc/passwd"))]),
        (".git", vec![("40000", ".git", folder(("100755", "config", text("[core]"))))]),
        (".GIT", vec![("40000", ".GIT", inner.clone())]),
        (".git with a space", vec![("40000", ".git ", inner.clone())]),
        ("git~1", vec![("40000", "git~1", inner.clone())]),
        ("..", vec![("40000", "..", inner.clone())]),
        (".", vec![("40000", ".", inner.clone())]),
        ("a slash in a name", vec![("100644", "../../x", text("x"))]),
        ("an empty name", vec![("100644", "", text("x"))]),
        ("the same name twice", vec![("120000", "x", text("/tmp")), ("40000", "x", inner.clone())]),
        (
            "a hostile submodule",
            vec![("100644", ".gitmodules", text("[submodule \"x\"]\npath = ../../x\nurl = -u./payload\n"))],
        ),
        (
            "a long name",
            vec![("100644", "long", text("x"))].into_iter().map(|(m, _, o)| (m, LONG, o)).collect(),
        ),
    ];
    for (what, mut entries) in cases {
        if entries[0].1 != "index.html" {
            entries.push(page.clone());
            entries.sort_by_key(|(_, name, _)| (*name).to_owned());
        }
        let pushed = push_tree(&hop, &repository, "site", &entries);
        assert!(!pushed.ok, "{what} is taken: {}", pushed.text);
        assert!(
            !pushed.text.contains("hop3.internal") && !pushed.text.contains("root:"),
            "{what}: {}",
            pushed.text
        );
        assert!(hop.get("site", "/").text().contains("Hello World!"), "{what} serves");
        assert_unharmed(&hop, what);
    }
    assert_eq!(hop.json(["app", "info", "site", "--json"])["release"], 1);
}

const LONG: &str = concat!(
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
);

#[test]
fn a_path_that_is_too_deep_is_refused() {
    let hop = Hop::start();
    let repository = hop.push("site", &example("apps/static-hello"));
    let mut folder = ("100644", "index.html", blob(&repository, "x"));
    for _ in 0..300 {
        folder = ("40000", "d", tree(&repository, &[folder]));
    }
    let pushed = push_tree(&hop, &repository, "site", &[folder]);
    assert!(!pushed.ok && pushed.text.contains("source.bad-path"), "{}", pushed.text);
    assert!(hop.get("site", "/").text().contains("Hello World!"));
}

#[test]
fn what_is_odd_but_harmless_is_deployed_and_told() {
    let hop = Hop::start();
    let repository = hop.repository("site", &example("apps/static-hello"));
    let text = |text: &str| blob(&repository, text);
    let commit = "1111111111111111111111111111111111111111".to_owned();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    let smudge = armed(&hop, "* filter=evil diff=evil export-subst\nhidden.txt export-ignore\n");
    let mut entries = vec![
        ("100644", ".gitattributes", text(&smudge)),
        (
            "100644",
            ".gitmodules",
            text("[submodule \"lib\"]\npath = lib\nurl = https://example.org/lib.git\n"),
        ),
        ("100644", "README", text("readme")),
        ("100644", "a\u{1b}]0;x\u{7}\nb", text("x")),
        ("100644", "big.bin", text(pointer)),
        ("100644", "hidden.txt", text("x")),
        (
            "40000",
            "hooks",
            tree(
                &repository,
                &[("100755", "post-receive", text(&armed(&hop, "#!/bin/sh\ntouch {canary}\n")))],
            ),
        ),
        ("100644", "index.html", text("<p>odd $Format:%H$</p>")),
        ("160000", "lib", commit),
        ("120000", "link", text("index.html")),
        ("100644", "readme", text("lower")),
    ];
    entries.sort_by_key(
        |(mode, name, _)| if *mode == "40000" { format!("{name}/") } else { (*name).to_owned() },
    );
    let pushed = push_tree(&hop, &repository, "site", &entries).expect_ok();
    for told in ["submodules", "big.bin", "export-ignore"] {
        assert!(pushed.text.contains(told), "{told} is not told: {}", pushed.text);
    }
    assert!(!pushed.text.contains('\u{7}'), "{:?}", pushed.text);
    assert!(hop.get("site", "/").text().contains("odd"));
    assert_unharmed(&hop, "attributes");
}

#[test]
fn refs_with_shell_in_their_names_are_only_names() {
    // No part of a ref begins with a dot, so no part of the canary's path may.
    let hop = Hop::start_in(tempfile::Builder::new().prefix("hop3-").tempdir().unwrap());
    let repository = hop.push("site", &example("apps/static-hello"));
    for branch in [
        "main;touch${IFS}{canary}",
        "$(touch${IFS}{canary})",
        "`touch${IFS}{canary}`",
        "a'b\"c",
        "%s%n",
        "é",
        "refs",
    ] {
        let branch = armed(&hop, branch);
        repository.commit("next");
        let pushed = repository.push(&hop.remote("site"), &format!("HEAD:refs/heads/{branch}")).expect_ok();
        assert!(pushed.text.contains("not the deploy branch"), "{}", pushed.text);
        assert_unharmed(&hop, &branch);
    }
    // Two refs at once: the deploy branch is deployed, the other is kept.
    let pushed = repository
        .git(["push", &hop.remote("site"), "HEAD:main", "HEAD:topic", "HEAD:refs/tags/v1"])
        .expect_ok();
    assert!(pushed.text.contains("site v2 is live"), "{}", pushed.text);
    // The deploy branch cannot be deleted.
    assert!(!repository.push(&hop.remote("site"), ":main").ok);
    repository.push(&hop.remote("site"), ":topic").expect_ok();
    assert_eq!(hop.get("site", "/").status, 200);
}

const EMPTY_PACK: &[u8] =
    b"PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";

/// A receive-pack request made by hand: one command and a pack.
pub(super) fn receive(hop: &Hop, command: &str, pack: &[u8]) -> Answer {
    let line = format!("{command}\0report-status");
    let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    body.extend_from_slice(pack);
    let mut request = format!(
        "POST /git/site.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-git-receive-pack-request\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        hop.token,
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    hop.ask(request)
}

#[test]
fn refs_that_git_would_not_send_are_refused() {
    let hop = Hop::start();
    let repository = hop.push("site", &example("apps/static-hello"));
    let zero = "0".repeat(40);
    let head = repository.git(["rev-parse", "HEAD"]).expect_ok().stdout.trim().to_owned();
    let other = "1".repeat(40);
    let refs = || {
        let repository = hop.root().join("apps/site/repo.git");
        let mut files: Vec<_> = crate::probe::holders(&repository, &head);
        files.sort();
        files
    };
    let before = refs();
    for reference in [
        "refs/heads/../../x",
        "refs/heads/../../../data/x",
        "../../hooks/post-receive",
        "hooks/update",
        "config",
        "HEAD",
        "/etc/hop3",
        "refs/heads/a b",
        "refs/heads/a..b",
        "refs/heads/x.lock",
        "refs/heads/a\x1b[2J",
        "refs/heads/",
        "",
        "refs/heads/@{-1}",
        "refs//heads//x",
        "refs/heads/.x",
    ] {
        let answer = receive(&hop, &format!("{zero} {head} {reference}"), EMPTY_PACK);
        assert!(!answer.text().contains("\nok "), "{reference:?}: {}", answer.text());
        assert!(!answer.text().contains("ok refs"), "{reference:?}: {}", answer.text());
        assert_eq!(refs(), before, "{reference:?} wrote something");
        assert_unharmed(&hop, reference);
    }
    // An object that is not there, and a commit that is not what the branch was.
    for command in
        [format!("{zero} {other} refs/heads/main"), format!("{other} {head} refs/heads/main"), "x".into()]
    {
        assert!(!receive(&hop, &command, EMPTY_PACK).text().contains("ok refs"), "{command}");
    }
    assert_eq!(hop.json(["app", "info", "site", "--json"])["release"], 1);
    assert_eq!(hop.get("site", "/").status, 200);
}

#[test]
fn git_paths_lead_to_repositories_alone() {
    let hop = Hop::start();
    hop.push("site", &example("apps/static-hello"));
    for path in [
        "/git/site.git/config",
        "/git/site.git/HEAD",
        "/git/site.git/hooks/pre-receive",
        "/git/site.git/objects/info/packs",
        "/git/site.git/../../hop3.db",
        "/git/../hop3.db",
        "/git/site.git/%2e%2e/%2e%2e/secret.key",
        "/git//etc/passwd",
        "/git/site.git/info/refs",
        "/git/site.git/info/refs?service=git-upload-archive",
        "/git/site/../site.git/HEAD",
        "/git/site.git/info/refs?service=git-receive-pack%00",
        "/git/none.git/info/refs?service=git-upload-pack",
    ] {
        let answer = hop.api("GET", path, "");
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
    }
    let none = hop.hop3(["app", "info", "none"]);
    assert_eq!(none.code, Some(3), "{}", none.text);
}

#[test]
fn two_pushes_at_once_are_deployed_one_after_the_other() {
    let hop = Hop::start();
    let repository = probe::push(&hop, "site");
    let mut commits = Vec::new();
    for i in 0..2 {
        repository.write("n.txt", &i.to_string());
        repository.commit("next");
        commits.push(repository.git(["rev-parse", "HEAD"]).expect_ok().stdout.trim().to_owned());
    }
    let pushes: Vec<_> = commits
        .iter()
        .map(|commit| {
            let refs = format!("+{commit}:refs/heads/main");
            repository
                .command(["push", "--quiet", &hop.remote("site"), &refs])
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let outputs: Vec<_> = pushes.into_iter().map(|push| push.wait_with_output().unwrap()).collect();
    assert!(outputs.iter().any(|output| output.status.success()), "{outputs:?}");
    let serving = probe::inside(&hop, "site", "cat n.txt");
    let source = probe::inside(&hop, "site", "echo $HOP3_SOURCE");
    let of = |i: usize| commits[i].starts_with(source.trim());
    assert!(of(serving.parse().unwrap()), "{serving} {source} {commits:?}");
    assert!(!canary(&hop).exists());
}
