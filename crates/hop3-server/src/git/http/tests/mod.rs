// SPDX-License-Identifier: Apache-2.0
//! Real git clients against the real routes, with a script in the place of the hook's program.

use super::router;
use crate::git::{Admitted, DeployTarget, GitAccess, HookEnv, Refusal, Repository, Service};
use hop3_core::name::AppName;
use hop3_core::secret::Secret;
use hop3_core::{Kind, Problem};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

mod bad_client;
mod push;

/// Says what it was told, and declines a commit that has a file `decline`.
const HOOK: &str = r#"#!/bin/sh
while read -r old new name; do
    echo "$1 $2: $HOP3_APP gets $name from $HOP3_PUSHED_BY"
    if git cat-file -e "$new:decline" 2>/dev/null; then echo "declined" >&2; exit 1; fi
done
env > "$HOP3_ROOT/environment"
"#;

/// The control plane in small: one token, apps made on push.
#[derive(Clone)]
struct Door {
    root: PathBuf,
}

impl GitAccess for Door {
    fn admit(
        &self,
        token: Option<&Secret<String>>,
        app: &AppName,
        service: Service,
    ) -> Result<Admitted, Refusal> {
        if token.is_none_or(|token| token.expose() != "right") {
            return Err(Refusal::Unauthenticated);
        }
        if app.as_str() == "forbidden" {
            let problem = Problem::new(Kind::Denied, "app.denied", "this token is for another app");
            return Err(problem.hint("ask for a token of this app").into());
        }
        let path = self.root.join("apps").join(app.as_str()).join("repo.git");
        let repository = match service {
            Service::ReceivePack => Repository::create(&path)?,
            Service::UploadPack => Repository::open(&path)?,
        };
        let target = DeployTarget { branch: "main".to_owned(), settled: false };
        let (program, root) = (self.root.join("hop3"), self.root.clone());
        let hook = HookEnv { program, root, app: app.clone(), target, by: "tester".to_owned() };
        Ok(Admitted { repository, hook })
    }
}

struct Server {
    dir: TempDir,
    address: SocketAddr,
    /// Dropped last: it runs the server.
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(hook: &str) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("hop3");
        fs::write(&program, hook).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let app = router(Door { root: dir.path().to_owned() });
        runtime.spawn(async move { axum::serve(listener, app).await });
        Server { dir, address, _runtime: runtime }
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn url(&self, path: &str) -> String {
        format!("http://any:right@{}/{path}", self.address)
    }

    fn repository(&self, app: &str) -> Repository {
        Repository::open(&self.root().join("apps").join(app).join("repo.git")).unwrap()
    }

    fn apps(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root().join("apps")) else { return Vec::new() };
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Sends bytes as they are and reads the answer to its end.
    fn raw(&self, request: &[u8]) -> String {
        self.answer_to(request, |_| {})
    }

    /// The same, but the client goes away after its last byte.
    fn cut(&self, request: &[u8]) -> String {
        self.answer_to(request, |stream| stream.shutdown(std::net::Shutdown::Write).unwrap())
    }

    fn answer_to(&self, request: &[u8], then: impl FnOnce(&TcpStream)) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        // A refused request may be answered before it was read whole.
        let _ = stream.write_all(request);
        then(&stream);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.raw(
            format!("GET {path} HTTP/1.1\r\nHost: hop3\r\nConnection: close\r\n{headers}\r\n").as_bytes(),
        )
    }

    fn post(&self, path: &str, headers: &str, body: &[u8]) -> String {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: hop3\r\nConnection: close\r\nContent-Length: {length}\r\n"
        );
        self.raw(&[head.as_bytes(), headers.as_bytes(), b"\r\n", body].concat())
    }

    fn assert_healthy(&self, app: &str) {
        let fsck = self.repository(app).command(["fsck", "--full", "--strict"]).output().unwrap();
        assert!(fsck.status.success(), "{}", String::from_utf8_lossy(&fsck.stderr));
    }
}

/// `any:right` in base64.
const RIGHT: &str = "Authorization: Basic YW55OnJpZ2h0\r\n";

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

/// A working copy on somebody's machine.
struct Copy {
    dir: TempDir,
}

impl Copy {
    fn new() -> Copy {
        let copy = Copy { dir: tempfile::tempdir().unwrap() };
        copy.git(&["init", "-q"]);
        copy
    }

    fn with_commit(name: &str, content: &[u8]) -> Copy {
        let copy = Copy::new();
        copy.commit(name, content);
        copy
    }

    fn commit(&self, name: &str, content: &[u8]) {
        fs::write(self.dir.path().join(name), content).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "-m", name]);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .envs([("PATH", std::env::var("PATH").unwrap().as_str()), ("HOME", "/nonexistent")])
            .envs([("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C"), ("GIT_CONFIG_NOSYSTEM", "1")])
            .stdin(Stdio::null());
        command
    }

    fn try_git(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("git is needed for the tests")
    }

    /// Standard error of a git command that must succeed.
    fn git(&self, arguments: &[&str]) -> String {
        let output = self.try_git(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "git {arguments:?}: {said}");
        said
    }

    /// Standard error of a git command that must fail.
    fn failing_git(&self, arguments: &[&str]) -> String {
        let output = self.try_git(arguments);
        assert!(!output.status.success(), "git {arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn head(&self) -> String {
        String::from_utf8(self.try_git(&["rev-parse", "HEAD"]).stdout).unwrap().trim().to_owned()
    }
}

fn branch(repository: &Repository, name: &str) -> String {
    let output = repository.command(["rev-parse", "--verify", "--quiet", name]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
