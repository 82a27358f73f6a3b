// SPDX-License-Identifier: Apache-2.0
//! `deploy --git URL`: from a public address; what is on this machine or its networks only when the operator says so.

use crate::harness::{Hop, Repository, example, until};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // git daemon runs as a child of `git`; both are in a group of their own.
        let group = rustix::process::Pid::from_raw(self.0.id() as i32).unwrap();
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        self.0.wait().ok();
    }
}

/// Serves the repository with git's own daemon; gives its address.
fn serve(repository: &Repository) -> (Daemon, String) {
    use std::os::unix::process::CommandExt;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let parent = repository.path.parent().unwrap().display().to_string();
    let daemon = repository
        .command(["daemon", "--listen=127.0.0.1", "--export-all", &format!("--port={port}")])
        .arg(format!("--base-path={parent}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let daemon = Daemon(daemon);
    until("the daemon listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let name = repository.path.file_name().unwrap().to_str().unwrap();
    (daemon, format!("git://127.0.0.1:{port}/{name}/.git"))
}

#[test]
fn private_addresses_are_refused() {
    let hop = Hop::start();
    let repository = hop.repository("site", &example("apps/static-hello"));
    let (_daemon, url) = serve(&repository);
    let canary = hop.scratch().join("canary");
    let own = format!("http://127.0.0.1:{}/git/site.git", hop.port);
    let evil = format!("ext::touch% {}", canary.display());
    let option = format!("--upload-pack=touch {}", canary.display());
    let private = [
        url.as_str(),
        &own,
        "http://localhost/x",
        "http://[::1]/x",
        "http://0.0.0.0/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/x",
        "http://192.168.0.1/x",
        "http://100.64.0.1/x",
        "http://[fd00::1]/x",
        "http://2130706433/x",
        "http://0x7f.1/x",
        "http://127.1/x",
        "ssh://root@127.0.0.1/x",
    ];
    for url in private {
        let said = hop.hop3(["deploy", "--git", url, "-a", "site"]);
        let code = said.text.contains("git.private-address") || said.text.contains("git.unknown-host");
        assert!(!said.ok && code, "{url}: {}", said.text);
    }
    let path = repository.path.display().to_string();
    let file = format!("file://{path}");
    for url in [
        &path,
        &file,
        &evil,
        &option,
        "https://user:pass@example.org/x",
        "ftp://example.org/x",
        "https://",
        "https:///x",
    ] {
        let said = hop.hop3(["deploy", &format!("--git={url}"), "-a", "site"]);
        assert!(!said.ok && said.text.contains("git.bad-url"), "{url}: {}", said.text);
    }
    assert!(!canary.exists());
    assert_eq!(std::fs::read_dir(hop.root().join("artifacts")).unwrap().count(), 0);
}

#[test]
fn an_address_the_operator_allows_is_deployed_at_its_ref() {
    let hop = Hop::start_as(
        tempfile::tempdir().unwrap(),
        env!("CARGO_BIN_EXE_hop3").into(),
        vec![("HOP3_FETCH_PRIVATE", "1")],
    );
    let repository = hop.repository("site", &example("apps/static-hello"));
    repository.git(["tag", "v1"]).expect_ok();
    repository.git(["checkout", "--quiet", "-b", "topic"]).expect_ok();
    repository.write("index.html", "<p>Topic</p>");
    repository.commit("topic");
    let (_daemon, url) = serve(&repository);
    let deployed = hop.hop3(["deploy", "--git", &url, "--ref", "v1", "-a", "site"]).expect_ok();
    assert!(deployed.text.contains("site v1 is live"), "{}", deployed.text);
    assert!(hop.get("site", "/").text().contains("Hello World!"));
    hop.hop3(["deploy", "--git", &url, "--ref", "topic", "-a", "site"]).expect_ok();
    assert!(hop.get("site", "/").text().contains("Topic"));
    for (reference, code) in [
        ("none", "git.fetch-failed"),
        ("-x", "git.bad-ref"),
        ("a b", "git.bad-ref"),
        ("$(id)", "git.bad-ref"),
    ] {
        let said = hop.hop3(["deploy", "--git", &url, &format!("--ref={reference}"), "-a", "site"]);
        assert!(!said.ok && said.text.contains(code), "{reference}: {}", said.text);
    }
    assert!(hop.get("site", "/").text().contains("Topic"));
}
