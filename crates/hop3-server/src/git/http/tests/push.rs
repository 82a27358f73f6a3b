// SPDX-License-Identifier: Apache-2.0
//! What honest clients do: push, be declined, clone, push much, push at once, give up.

use super::{Copy, HOOK, Server, branch};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

#[test]
fn a_push_runs_the_hook_and_a_clone_gives_it_back() {
    let server = Server::start(HOOK);
    let copy = Copy::with_commit("index.html", b"hello");
    let said = copy.git(&["push", &server.url("shop.git"), "main"]);
    assert!(said.contains("remote: git-hook pre-receive: shop gets refs/heads/main from tester"), "{said}");
    assert_eq!(branch(&server.repository("shop"), "main"), copy.head());
    copy.commit("index.html", b"hello again");
    copy.git(&["push", &server.url("shop"), "main"]);
    let clone = Copy::new();
    clone.git(&["pull", "-q", &server.url("shop"), "main"]);
    assert_eq!(clone.head(), copy.head());
    assert_eq!(server.apps(), ["shop"]);
}

#[test]
fn the_hook_sees_only_the_environment_made_for_it() {
    let server = Server::start(HOOK);
    Copy::with_commit("a", b"a").git(&["push", "-q", &server.url("shop"), "main"]);
    let text = fs::read_to_string(server.root().join("environment")).unwrap();
    let known = |name: &str| {
        ["PATH", "HOME", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name)
            || ["GIT_", "HOP3_", "HTTP_", "REMOTE_", "CONTENT_", "REQUEST_", "PATH_INFO", "QUERY_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
    };
    let unknown: Vec<_> =
        text.lines().filter_map(|l| l.split_once('=')).filter(|(name, _)| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(!text.contains("right"), "the token is in the environment of the hook");
}

#[test]
fn a_declined_push_changes_nothing() {
    let server = Server::start(HOOK);
    let copy = Copy::with_commit("index.html", b"hello");
    copy.git(&["push", "-q", &server.url("shop"), "main"]);
    let before = copy.head();
    copy.commit("decline", b"");
    let said = copy.failing_git(&["push", &server.url("shop"), "main", "main:other"]);
    assert!(said.contains("remote: declined") && said.contains("(pre-receive hook declined)"), "{said}");
    assert_eq!(branch(&server.repository("shop"), "main"), before);
    assert_eq!(branch(&server.repository("shop"), "other"), "");
    server.assert_healthy("shop");
}

#[test]
fn without_its_program_the_hook_declines() {
    let server = Server::start(HOOK);
    fs::remove_file(server.root().join("hop3")).unwrap();
    let copy = Copy::with_commit("a", b"a");
    assert!(copy.failing_git(&["push", &server.url("shop"), "main"]).contains("pre-receive hook declined"));
}

#[test]
fn force_delete_tags_and_empty_pushes() {
    let server = Server::start(HOOK);
    let copy = Copy::with_commit("a", b"a");
    let url = server.url("shop");
    copy.git(&["push", "-q", &url, "main", "main:side"]);
    copy.git(&["tag", "-a", "-m", "one", "v1"]);
    copy.git(&["push", "-q", &url, "v1"]);
    copy.git(&["commit", "-q", "--amend", "-m", "other"]);
    copy.failing_git(&["push", "-q", &url, "main"]);
    copy.git(&["push", "-q", "--force", &url, "main"]);
    copy.git(&["push", "-q", &url, ":side"]);
    copy.git(&["push", "-q", &url, "main"]);
    assert_eq!(branch(&server.repository("shop"), "main"), copy.head());
    // The branch a clone checks out cannot be deleted, whatever the hook says.
    copy.failing_git(&["push", "-q", &url, ":main"]);
    let empty = Copy::new();
    empty.failing_git(&["push", "-q", &server.url("empty"), "main"]);
    server.assert_healthy("shop");
}

#[test]
fn large_bodies_and_compressed_requests_pass() {
    let server = Server::start(HOOK);
    // Noise that does not compress, above the size from which git sends chunks.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(3 << 20)
    .collect();
    let copy = Copy::with_commit("noise", &noise);
    for i in 0..40 {
        copy.git(&["commit", "-q", "--allow-empty", "-m", &i.to_string()]);
        copy.git(&["branch", &format!("b{i}")]);
    }
    copy.git(&["push", "-q", "--all", &server.url("shop")]);
    let clone = Copy::new();
    // Forty wants are more than a kilobyte: git compresses such a request.
    for version in ["0", "2"] {
        let version = format!("protocol.version={version}");
        clone.git(&["-c", &version, "fetch", "-q", &server.url("shop"), "+refs/heads/*:refs/remotes/x/*"]);
        clone.git(&["checkout", "-q", "x/main"]);
        assert_eq!(fs::read(clone.dir.path().join("noise")).unwrap(), noise);
        clone.git(&["update-ref", "-d", "refs/remotes/x/main"]);
    }
}

#[test]
fn pushes_at_once_leave_a_healthy_repository() {
    let server = Server::start(HOOK);
    let copies: Vec<_> = (0..4).map(|i| Copy::with_commit("a", format!("{i}").as_bytes())).collect();
    let won = std::thread::scope(|scope| {
        let pushes: Vec<_> = copies
            .iter()
            .map(|copy| scope.spawn(|| copy.try_git(&["push", &server.url("shop"), "main"]).status.success()))
            .collect();
        pushes.into_iter().map(|push| push.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(won, 1, "unrelated histories: one is first, the others are not fast-forwards");
    assert!(copies.iter().any(|copy| copy.head() == branch(&server.repository("shop"), "main")));
    server.assert_healthy("shop");
}

/// Holds a pipe open as long as it, or a child of it, lives.
const WAITING_HOOK: &str = r#"#!/bin/sh
exec 3> "$HOP3_ROOT/alive"
echo running >&3
sleep 600
"#;

#[test]
fn a_pusher_who_gives_up_ends_the_hook() {
    let server = Server::start(WAITING_HOOK);
    let alive = server.root().join("alive");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &alive, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let copy = Copy::with_commit("a", b"a");
    let mut push = copy.command(&["push", &server.url("shop"), "main"]);
    let mut push = push.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut alive = BufReader::new(File::open(alive).unwrap());
    let mut line = String::new();
    alive.read_line(&mut line).unwrap();
    assert_eq!(line, "running\n");
    kill_process_group(Pid::from_child(&push), Signal::KILL).unwrap();
    push.wait().unwrap();
    // The end of the pipe: hook and child are gone.
    assert_eq!(alive.read_line(&mut line).unwrap(), 0);
    server.assert_healthy("shop");
    assert_eq!(branch(&server.repository("shop"), "main"), "");
}
