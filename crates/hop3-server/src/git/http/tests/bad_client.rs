// SPDX-License-Identifier: Apache-2.0
//! What hostile or broken clients do (corpus A, B): nothing is created, the repository stays healthy.

use super::{Copy, HOOK, RIGHT, Server, branch, status};

const PUSH: &str = "Content-Type: application/x-git-receive-pack-request\r\n";

#[test]
fn without_the_right_token_nothing_happens() {
    let server = Server::start(HOOK);
    let path = "/shop.git/info/refs?service=git-receive-pack";
    let anonymous = server.get(path, "");
    assert_eq!(status(&anonymous), "401");
    assert!(anonymous.to_lowercase().contains("www-authenticate: basic realm=\"hop3\""), "{anonymous}");
    for header in [
        "Authorization: Basic YW55Ondyb25n\r\n",
        "Authorization: Basic !!!\r\n",
        "Authorization: Basic\r\n",
        "Authorization: Basic YW55\r\n",
        "Authorization: Basic YW55Og==\r\n",
        "Authorization: Bearer wrong\r\n",
        "Authorization: Negotiate right\r\n",
    ] {
        assert_eq!(status(&server.get(path, header)), "401", "{header}");
        assert_eq!(
            status(&server.post("/shop/git-receive-pack", &format!("{header}{PUSH}"), b"0000")),
            "401"
        );
    }
    assert_eq!(status(&server.get(path, "Authorization: bearer right\r\n")), "200");
    let copy = Copy::with_commit("a", b"a");
    let said = copy.failing_git(&["push", &format!("http://any:wrong@{}/other", server.address), "main"]);
    assert!(said.contains("Authentication failed"), "{said}");
    assert_eq!(server.apps(), ["shop"]);
}

#[test]
fn a_refusal_is_shown_by_git() {
    let server = Server::start(HOOK);
    let copy = Copy::with_commit("a", b"a");
    let said = copy.failing_git(&["push", &server.url("forbidden"), "main"]);
    assert!(said.contains("remote: error[app.denied]: this token is for another app"), "{said}");
    assert!(said.contains("remote: hint: ask for a token of this app"), "{said}");
    let said = copy.failing_git(&["push", &server.url("Bad_Name"), "main"]);
    assert!(said.contains("remote: error[app.bad-name]: \"Bad_Name\" is not a name for an app"), "{said}");
    let said = copy.failing_git(&["fetch", &server.url("absent"), "main"]);
    assert!(said.contains("remote: error[git.no-repository]"), "{said}");
    assert!(server.apps().is_empty());
}

#[test]
fn hostile_names_make_nothing() {
    let server = Server::start(HOOK);
    let long = "a".repeat(4096);
    let corpus = [
        "",
        ".",
        "..",
        "...",
        "%2e%2e",
        "-rf",
        "--help",
        "--upload-pack=touch${IFS}/tmp/p",
        "a%2fb",
        "..%2fb",
        "%2e%2e%2fb",
        "%2fetc%2fpasswd",
        "a%00b",
        "a%0ab",
        "a%0d%0aX-Injected:%201",
        "a;id",
        "a&&id",
        "a|id",
        "a`id`",
        "$(id)",
        "${IFS}",
        "a'b",
        "a%22b",
        "a%20b",
        "a*",
        "a%3f",
        "[a]",
        "A",
        "%d0%b0pp",
        "e%cc%81",
        "a%e2%80%aeb",
        "%ff%fe",
        "1a",
        ".a",
        "a.",
        "a--b",
        "xn--a",
        "admin",
        "api",
        "root",
        "hop3",
        "localhost",
        "con",
        "nul",
        "%25n",
        "%7b%7b7*7%7d%7d",
        "';%20DROP%20TABLE%20apps;--",
        "a.git",
        "%",
        "%zz",
        &long,
    ];
    for name in corpus {
        for suffix in ["/info/refs?service=git-receive-pack", ".git/info/refs?service=git-upload-pack"] {
            if name == "a.git" && suffix.starts_with('/') {
                continue; // is the app `a`
            }
            let answer = server.get(&format!("/{name}{suffix}"), RIGHT);
            assert!(["400", "404", "422"].contains(&status(&answer)), "{name:?}{suffix}: {answer}");
        }
        let answer =
            server.post(&format!("/{name}.git/git-receive-pack"), &format!("{RIGHT}{PUSH}"), b"0000");
        let fine = ["400", "404", "422"].contains(&status(&answer));
        assert!(fine, "{name:?}: {answer}");
        assert!(!answer.contains("\nX-Injected"), "{name:?}");
    }
    assert!(server.apps().is_empty(), "{:?}", server.apps());
}

#[test]
fn only_the_three_addresses_in_their_known_forms_are_served() {
    let server = Server::start(HOOK);
    Copy::with_commit("a", b"a").git(&["push", "-q", &server.url("shop"), "main"]);
    let paths = [
        ("/shop.git/info/refs", "403"),
        ("/shop.git/info/refs?service=git-upload-archive", "403"),
        ("/shop.git/info/refs?service=git-receive-pack&x=1", "403"),
        ("/shop.git/info/refs?service=git-receive-pack%00", "403"),
        ("/shop.git/HEAD", "404"),
        ("/shop.git/config", "404"),
        ("/shop.git/hooks/pre-receive", "404"),
        ("/shop.git/objects/info/packs", "404"),
        ("/shop.git/../shop.git/config", "404"),
        ("/shop.git/git-receive-pack", "405"),
        ("/shop.git/git-upload-archive", "404"),
    ];
    for (path, expected) in paths {
        assert_eq!(status(&server.get(path, RIGHT)), expected, "{path}");
    }
    let forms = [
        ("", "422"),
        ("Content-Type: text/plain\r\n", "422"),
        ("Content-Type: application/x-git-upload-pack-request\r\n", "422"),
        ("Content-Type: application/x-git-receive-pack-request\r\nContent-Encoding: br\r\n", "422"),
    ];
    for (headers, expected) in forms {
        let answer = server.post("/shop.git/git-receive-pack", &format!("{RIGHT}{headers}"), b"0000");
        assert_eq!(status(&answer), expected, "{headers}");
    }
}

/// A push by hand: one ref update and an empty pack.
fn by_hand(server: &Server, id: &str, reference: &str) -> String {
    let none = "0".repeat(40);
    let line = format!("{none} {id} {reference}\0 report-status\n");
    let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    // "PACK", version 2, no objects, and the SHA-1 of that.
    body.extend_from_slice(b"PACK\0\0\0\x02\0\0\0\0");
    body.extend_from_slice(&[
        0x02, 0x9d, 0x08, 0x82, 0x3b, 0xd8, 0xa8, 0xea, 0xb5, 0x10, 0xad, 0x6a, 0xc7, 0x5c, 0x82, 0x3c, 0xfd,
        0x3e, 0xd3, 0x1e,
    ]);
    server.post("/shop.git/git-receive-pack", &format!("{RIGHT}{PUSH}"), &body)
}

#[test]
fn hostile_refs_are_refused_by_git() {
    let server = Server::start(HOOK);
    let copy = Copy::with_commit("a", b"a");
    copy.git(&["push", "-q", &server.url("shop"), "main"]);
    let answer = by_hand(&server, &copy.head(), "refs/heads/fine");
    assert!(answer.contains("ok refs/heads/fine"), "{answer}");
    for reference in [
        "refs/heads/../../x",
        "refs/heads/../config",
        "../../hooks/pre-receive",
        "HEAD",
        "refs/heads/a b",
        "refs/heads/-",
        "refs/heads/a\u{1b}[2J",
        "refs/heads/x.lock",
        "refs/heads/",
        "config",
    ] {
        let answer = by_hand(&server, &copy.head(), reference);
        let fine = reference == "refs/heads/-" || !answer.contains(&format!("ok {reference}\n"));
        assert!(fine, "{reference}: {answer}");
    }
    for reference in ["refs/heads/main;touch", "refs/heads/$(id)"] {
        by_hand(&server, &copy.head(), reference);
    }
    assert!(!server.root().join("apps/shop/repo.git/x").exists());
    assert_eq!(branch(&server.repository("shop"), "main"), copy.head());
    server.assert_healthy("shop");
}

#[test]
fn a_connection_cut_in_the_middle_of_a_pack_leaves_the_repository_healthy() {
    let server = Server::start(HOOK);
    let copy = Copy::with_commit("a", &[b'x'; 100_000]);
    copy.git(&["push", "-q", &server.url("shop"), "main"]);
    let before = copy.head();
    let line = format!("{before} {} refs/heads/main\0 report-status\n", "1".repeat(40));
    let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    // A pack that announces a thousand objects and brings a part of one.
    body.extend_from_slice(b"PACK\0\0\0\x02\0\0\x03\xe8\x9f\x0fx\x9c");
    let headers = format!("{RIGHT}{PUSH}");
    let head = format!(
        "POST /shop/git-receive-pack HTTP/1.1\r\nHost: hop3\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len() + 1_000_000
    );
    server.cut(&[head.as_bytes(), &body].concat());
    server.assert_healthy("shop");
    assert_eq!(branch(&server.repository("shop"), "main"), before);
    copy.commit("b", b"b");
    copy.git(&["push", "-q", &server.url("shop"), "main"]);
}

#[test]
fn objects_that_fsck_refuses_do_not_come_in() {
    let server = Server::start(HOOK);
    let copy = Copy::with_commit("a", b"a");
    let head = copy.head();
    // A commit without an author, and a .gitmodules that would run a command elsewhere.
    std::fs::write(
        copy.dir.path().join("raw"),
        format!("tree {}\n\nx", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
    )
    .unwrap();
    let made = copy.try_git(&["hash-object", "-w", "-t", "commit", "--literally", "raw"]);
    let id = String::from_utf8(made.stdout).unwrap();
    let said = copy.failing_git(&["push", &server.url("shop"), &format!("{}:refs/heads/main", id.trim())]);
    assert!(said.contains("missingAuthor") || said.contains("fsck") || said.contains("invalid"), "{said}");
    copy.git(&["reset", "-q", "--hard", &head]);
    copy.commit(".gitmodules", b"[submodule \"x\"]\n\tpath = x\n\turl = -u./payload\n");
    let said = copy.failing_git(&["push", &server.url("shop"), "main"]);
    assert!(said.contains("gitmodulesUrl"), "{said}");
    assert_eq!(branch(&server.repository("shop"), "main"), "");
}
