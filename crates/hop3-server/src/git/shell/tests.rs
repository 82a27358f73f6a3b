// SPDX-License-Identifier: Apache-2.0
//! What an SSH client may ask for (corpus B17, B18), and a push through a stand-in for ssh.

use super::{ShellRequest, parse};
use crate::git::Service;

#[test]
fn what_git_asks_for_is_understood() {
    let corpus = [
        ("git-receive-pack 'shop'", Service::ReceivePack),
        ("git-receive-pack '/shop.git'", Service::ReceivePack),
        ("git receive-pack 'shop.git'", Service::ReceivePack),
        ("git-upload-pack '/shop'", Service::UploadPack),
        ("git upload-pack shop", Service::UploadPack),
        ("git-upload-pack \"shop\"", Service::UploadPack),
    ];
    for (command, service) in corpus {
        assert_eq!(
            parse(command).unwrap(),
            ShellRequest { service, app: "shop".parse().unwrap() },
            "{command}"
        );
    }
}

#[test]
fn everything_else_is_refused() {
    let corpus = [
        ("", "ssh.no-shell"),
        ("git-receive-pack 'a';id", "ssh.bad-command"),
        ("git-receive-pack 'a' 'b'", "ssh.bad-command"),
        ("git-receive-pack 'a'\nid", "ssh.bad-command"),
        ("git-receive-pack 'a", "ssh.bad-command"),
        ("git-receive-pack a'", "ssh.bad-command"),
        ("git-receive-pack 'a\"", "ssh.bad-command"),
        ("git-receive-pack ''a''", "ssh.bad-command"),
        ("git-receive-pack 'a'\\''b'", "ssh.bad-command"),
        ("git-receive-pack\t'a'", "ssh.bad-command"),
        ("git-receive-pack  'a'", "ssh.bad-command"),
        ("git-receive-pack", "ssh.bad-command"),
        ("git-receive-pack --help", "app.bad-name"),
        ("git-receive-pack '--upload-pack=touch${IFS}/tmp/p'", "app.bad-name"),
        ("git-receive-pack $IFS", "app.bad-name"),
        ("git-receive-pack a*", "app.bad-name"),
        ("git-receive-pack `id`", "app.bad-name"),
        ("git-receive-pack $(id)", "app.bad-name"),
        ("git-receive-pack '../b'", "app.bad-name"),
        ("git-receive-pack '/etc/passwd'", "app.bad-name"),
        ("git-receive-pack '//a'", "app.bad-name"),
        ("git-receive-pack 'a.git.git'", "app.bad-name"),
        ("git-receive-pack 'a/'", "app.bad-name"),
        ("git-receive-pack ''", "app.bad-name"),
        ("git-receive-pack 'a;id'", "app.bad-name"),
        ("git-receive-pack 'a\u{0}b'", "app.bad-name"),
        ("git-receive-pack 'admin'", "app.bad-name"),
        ("git-upload-archive 'a'", "ssh.bad-command"),
        ("scp -t /", "ssh.bad-command"),
        ("sftp", "ssh.bad-command"),
        ("internal-sftp", "ssh.bad-command"),
        ("-oProxyCommand=id", "ssh.bad-command"),
        ("sh -c id", "ssh.bad-command"),
        ("GIT-RECEIVE-PACK 'a'", "ssh.bad-command"),
        (" git-receive-pack 'a'", "ssh.bad-command"),
    ];
    for (command, code) in corpus {
        let problem = parse(command).expect_err(command);
        assert_eq!(problem.code, code, "{command:?}: {problem}");
        assert!(!problem.render().replace('\n', "").chars().any(char::is_control), "{command:?}");
    }
}
