// SPDX-License-Identifier: Apache-2.0
//! `git push` over SSH, with the machine's own sshd and `hop3 git-shell` as the forced command of a key.

use crate::harness::{Hop, Repository, Said, example, skip, until};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) const SSHD: &str = "/usr/sbin/sshd";

struct Sshd {
    process: Child,
    port: u16,
    directory: PathBuf,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

pub(crate) fn key(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(made.unwrap().success());
}

/// Starts it, and returns once it can be asked.
pub(crate) fn listens(sshd: &mut Command, port: u16) -> Child {
    let process = sshd.spawn().unwrap();
    until("sshd listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    process
}

impl Sshd {
    /// The operator's sshd: of Hop3 it knows the file of keys alone. None where there is none.
    fn start(hop: &Hop) -> Option<Sshd> {
        let (is_root, here) = (rustix::process::geteuid().is_root(), Path::new(SSHD).exists());
        if !is_root || !here {
            skip("ssh", if here { "sshd must be root" } else { "there is no sshd (openssh-server)" });
            return None;
        }
        // Where sshd without privileges is shut in; a package makes it at boot.
        std::fs::create_dir_all("/run/sshd").unwrap();
        let directory = hop.scratch().join("ssh");
        std::fs::create_dir(&directory).unwrap();
        for name in ["host", "alice", "mallory"] {
            key(&directory.join(name));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {directory}/host\nPidFile {directory}/pid\n\
             AuthorizedKeysFile {keys}\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\nAcceptEnv GIT_PROTOCOL GIT_* HOP3_*\n",
            directory = directory.display(),
            keys = hop.root().join("authorized_keys").display(),
        );
        std::fs::write(directory.join("config"), config).unwrap();
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let mut sshd = Command::new(SSHD);
        sshd.args(["-D", "-e", "-f"]).arg(directory.join("config")).stdin(Stdio::null()).stderr(log);
        let process = listens(&mut sshd, port);
        Some(Sshd { process, port, directory })
    }

    /// The client's command line, for a person with that key.
    fn client(&self, who: &str) -> String {
        let directory = self.directory.display();
        format!(
            "ssh -F none -i {directory}/{who} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no \
             -o UserKnownHostsFile={directory}/known -o LogLevel=ERROR -p {}",
            self.port
        )
    }

    fn push(&self, repository: &Repository, who: &str, app: &str) -> Said {
        let remote = format!("ssh://root@127.0.0.1:{}/{app}", self.port);
        self.git(repository, who, &["push", &remote, "main"])
    }

    fn git(&self, repository: &Repository, who: &str, arguments: &[&str]) -> Said {
        let output = repository.command(arguments).env("GIT_SSH_COMMAND", self.client(who)).output().unwrap();
        Said {
            ok: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            text: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command over SSH, as a person types it.
    fn run(&self, who: &str, options: &[&str], command: &str) -> Said {
        let client = self.client(who);
        let mut words = client.split(' ');
        let mut ssh = Command::new(words.next().unwrap());
        ssh.args(words).args(options).arg("root@127.0.0.1");
        if !command.is_empty() {
            ssh.arg(command);
        }
        let output = ssh.stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        Said {
            ok: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}

fn with_alice() -> Option<(Hop, Sshd)> {
    let hop = Hop::start();
    let sshd = Sshd::start(&hop)?;
    let public = sshd.directory.join("alice.pub");
    hop.hop3(["user", "key", "add", "alice", public.to_str().unwrap()]).expect_ok();
    Some((hop, sshd))
}

#[test]
fn a_push_over_ssh_deploys() {
    let Some((hop, sshd)) = with_alice() else { return };
    let repository = hop.repository("site", &example("apps/static-hello"));
    let pushed = sshd.push(&repository, "alice", "site").expect_ok();
    assert!(pushed.text.contains("site v1 is live"), "{}", pushed.text);
    assert!(hop.get("site", "/").text().contains("Hello World!"));
    repository.write("index.html", "<p>Second</p>");
    repository.commit("second");
    sshd.push(&repository, "alice", "site.git").expect_ok();
    assert!(hop.get("site", "/").text().contains("Second"));
    // What fails is declined, with the reason.
    repository.write("Procfile", "web\n");
    repository.commit("broken");
    let declined = sshd.push(&repository, "alice", "site");
    assert!(!declined.ok && declined.text.contains("procfile.missing-colon"), "{}", declined.text);
    // A clone is what was pushed.
    let cloned = hop.scratch().join("cloned");
    let remote = format!("ssh://root@127.0.0.1:{}/site", sshd.port);
    sshd.git(&repository, "alice", &["clone", "--quiet", &remote, cloned.to_str().unwrap()]).expect_ok();
    assert_eq!(std::fs::read_to_string(cloned.join("index.html")).unwrap(), "<p>Second</p>");
    let none = sshd.git(&repository, "alice", &["ls-remote", &remote.replace("/site", "/none")]);
    assert!(!none.ok && none.text.contains("app.unknown"), "{}", none.text);
    assert_eq!(hop.json(["app", "list", "--json"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_key_is_for_git_alone_and_for_as_long_as_it_is_listed() {
    let Some((hop, sshd)) = with_alice() else { return };
    let repository = hop.repository("site", &example("apps/static-hello"));
    let unknown = sshd.push(&repository, "mallory", "site");
    assert!(!unknown.ok && unknown.text.contains("Permission denied"), "{}", unknown.text);
    let canary = hop.scratch().join("canary");
    let touch = format!("touch {}", canary.display());
    // The grammar has its own tests; here is what a real sshd and a shell make of it.
    let commands = [
        String::new(),
        touch.clone(),
        format!("git-receive-pack 'a';{touch}"),
        format!("git-receive-pack $({touch})"),
        "git-receive-pack '../../x'".into(),
        "git-receive-pack 'a".into(),
        "git-receive-pack 'site\u{1b}[2J'".into(),
        "scp -t /tmp".into(),
        format!("git-receive-pack 'a'\n{touch}"),
    ];
    for command in commands {
        let said = sshd.run("alice", &[], &command);
        assert!(!said.ok && said.text.contains("error["), "{command:?}: {}", said.text);
        assert!(!said.text.contains('\u{1b}') && !said.text.contains("uid="), "{command:?}: {:?}", said.text);
        assert!(!canary.exists(), "{command:?}");
    }
    // Nothing beside the forced command: no terminal, no forwarding, no subsystem.
    assert!(!sshd.run("alice", &["-tt"], "").ok);
    assert!(!sshd.run("alice", &["-s"], "sftp").ok);
    let forwarded = sshd.run("alice", &["-W", &format!("127.0.0.1:{}", hop.port)], "");
    assert!(!forwarded.ok, "{}", forwarded.text);
    assert_eq!(hop.json(["app", "list", "--json"]).as_array().unwrap().len(), 0);

    sshd.push(&repository, "alice", "site").expect_ok();
    let listed = hop.json(["user", "key", "list", "--json"]);
    assert!(
        listed[0]["name"] == "alice" && listed[0]["fingerprint"].as_str().unwrap().starts_with("SHA256:"),
        "{listed}"
    );
    hop.hop3(["user", "key", "remove", "alice"]).expect_ok();
    repository.commit("again");
    assert!(sshd.push(&repository, "alice", "site").text.contains("Permission denied"));
    let private = sshd.directory.join("alice");
    let refused = hop.hop3(["user", "key", "add", "alice", private.to_str().unwrap()]);
    assert!(!refused.ok && !refused.text.contains("BEGIN"), "{}", refused.text);
}

#[test]
fn variables_of_the_client_change_nothing() {
    let Some((hop, sshd)) = with_alice() else { return };
    let repository = hop.repository("site", &example("apps/static-hello"));
    let canary = hop.scratch().join("canary");
    let touch = format!("touch {}", canary.display());
    let mut command =
        repository.command(["push", &format!("ssh://root@127.0.0.1:{}/site", sshd.port), "main"]);
    let names = [
        "GIT_CONFIG_KEY_0",
        "GIT_CONFIG_VALUE_0",
        "GIT_CONFIG_COUNT",
        "GIT_TRACE",
        "HOP3_ROOT",
        "HOP3_PROGRAM",
    ];
    let values = ["core.fsmonitor", &touch, "1", "1", "/nonexistent", &touch];
    let send: String =
        names.iter().zip(values).map(|(name, value)| format!(" -o 'SetEnv={name}=\"{value}\"'")).collect();
    command.env("GIT_SSH_COMMAND", sshd.client("alice") + &send);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(hop.get("site", "/").status, 200);
    assert!(!canary.exists());
}
