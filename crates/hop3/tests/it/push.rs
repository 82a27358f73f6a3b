// SPDX-License-Identifier: Apache-2.0
//! `git push`: live, declined, redeployed, to another branch, by whom.

use crate::harness::{Hop, example};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

#[test]
fn a_pushed_site_is_live_on_its_own_domain() {
    let hop = Hop::start();
    let repository = hop.push("site", &example("apps/static-hello"));
    let page = hop.get("site", "/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Hello World!"));

    repository.write("index.html", "<p>Second</p>");
    repository.commit("second");
    let pushed = repository.push(&hop.remote("site"), "main").expect_ok();
    assert!(pushed.text.contains("site v2 is live"), "{}", pushed.text);
    assert!(hop.get("site", "/").text().contains("Second"));
    assert_eq!(hop.json(["app", "info", "site", "--json"])["release"], 2);
}

#[test]
fn a_failing_build_declines_the_push_and_the_old_release_serves() {
    let hop = Hop::start();
    let repository = hop.push("site", &example("apps/procfile-only"));
    let before = hop.get("site", "/").text();

    repository.write("Procfile", "build: sh -c 'echo the reason; exit 3'\nweb: perl server.pl\n");
    repository.commit("broken");
    let pushed = repository.push(&hop.remote("site"), "main");
    assert!(!pushed.ok);
    for part in ["build.command-failed", "exit status 3", "the reason", "pre-receive hook declined"] {
        assert!(pushed.text.contains(part), "{part} is not in\n{}", pushed.text);
    }
    assert_eq!(hop.get("site", "/").text(), before);
    // Nothing of it is left: the branch did not move, so the same push is declined again.
    assert!(!repository.push(&hop.remote("site"), "main").ok);
    assert_eq!(hop.json(["app", "info", "site", "--json"])["release"], 1);
}

#[test]
fn another_branch_says_so_and_deploys_nothing() {
    let hop = Hop::start();
    let repository = hop.repository("site", &example("apps/static-hello"));
    let pushed = repository.push(&hop.remote("site"), "main:topic").expect_ok();
    assert!(pushed.text.contains("not the deploy branch main"), "{}", pushed.text);
    assert_eq!(hop.get("site", "/").status, 503);
    hop.hop3(["app", "branch", "topic", "-a", "site"]).expect_ok();
    repository.commit("again");
    repository.push(&hop.remote("site"), "main:topic").expect_ok();
    assert_eq!(hop.get("site", "/").status, 200);
}

#[test]
fn a_first_push_of_master_alone_makes_it_the_deploy_branch() {
    let hop = Hop::start();
    let repository = hop.repository("site", &example("apps/static-hello"));
    repository.push(&hop.remote("site"), "main:master").expect_ok();
    assert_eq!(hop.get("site", "/").status, 200);
    assert_eq!(hop.json(["app", "info", "site", "--json"])["deploy_branch"], "master");
}

#[test]
fn a_wrong_token_gets_nothing_and_makes_nothing() {
    let hop = Hop::start();
    let repository = hop.repository("site", &example("apps/static-hello"));
    let remote = format!("http://x:hop3_wrong@localhost:{}/git/site.git", hop.port);
    assert!(!repository.push(&remote, "main").ok);
    assert_eq!(hop.json(["app", "list", "--json"]).as_array().unwrap().len(), 0);
}

#[test]
fn a_token_for_one_app_cannot_push_to_another() {
    let hop = Hop::start();
    hop.push("one", &example("apps/static-hello"));
    let two = hop.push("two", &example("apps/static-hello"));
    let made = hop.json(["token", "create", "ci", "-a", "one", "--json"]);
    let token = made["token"].as_str().unwrap();
    two.commit("again");
    let refused = two.push(&format!("http://x:{token}@localhost:{}/git/two.git", hop.port), "main");
    assert!(!refused.ok);
    assert!(refused.text.contains("not for the app"), "{}", refused.text);
    two.push(&format!("http://x:{token}@localhost:{}/git/one.git", hop.port), "+main:main").expect_ok();
}

#[test]
fn an_upload_honours_the_ignore_files() {
    let hop = Hop::start();
    let repository = hop.repository("site", &example("apps/static-hello"));
    repository.write(".gitignore", "secret.txt\n");
    repository.write(".hop3ignore", "notes.txt\n");
    repository.write("secret.txt", "s");
    repository.write("notes.txt", "n");
    let deployed = hop.hop3_in(&repository.path, ["deploy", ".", "-a", "site"]).expect_ok();
    assert!(deployed.text.contains("is live"), "{}", deployed.text);
    assert_eq!(hop.get("site", "/").status, 200);
    assert_eq!(hop.get("site", "/secret.txt").status, 404);
    assert_eq!(hop.get("site", "/notes.txt").status, 404);
}

/// Sends 16 MiB before it reads a word.
fn send_whole(mut stream: impl Read + Write, query: &str, host: &str) -> String {
    let head = format!(
        "POST /api/apps/none/deployments{query} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        16 << 20
    );
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..16 {
        stream.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn whoever_sends_all_before_reading_is_told_why_it_was_refused() {
    let hop = Hop::start();
    let socket = UnixStream::connect(hop.root().join("run/server/api.sock")).unwrap();
    let told = send_whole(socket, "?create=false", "localhost");
    assert!(told.starts_with("HTTP/1.1 404") && told.contains("app.unknown"), "{told}");
    let port = TcpStream::connect(("127.0.0.1", hop.port)).unwrap();
    let told = send_whole(port, "", &format!("localhost:{}", hop.port));
    assert!(told.starts_with("HTTP/1.1 403"), "{told}");
}
