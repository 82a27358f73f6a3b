// SPDX-License-Identifier: Apache-2.0
//! Real keys are taken and keep their fingerprint; everything that is not exactly a key is refused.

use super::{AuthorizedKey, PublicKey, authorized_keys, check_name, write_authorized_keys};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

fn keygen(arguments: &[&str]) -> Option<String> {
    let output = match Command::new("ssh-keygen").args(arguments).output() {
        Ok(output) => output,
        Err(error) if std::env::var_os("HOP3_NO_SKIP").is_none() => {
            eprintln!("SKIPPED: ssh-keygen: {error}");
            return None;
        }
        Err(error) => panic!("ssh-keygen: {error}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn keys_of_ssh_keygen_are_taken_with_the_same_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, bits) in
        [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")]
    {
        let file = dir.path().join(format!("{kind}{bits}"));
        let path = file.to_str().unwrap();
        let made = keygen(&["-q", "-t", kind, "-b", bits, "-N", "", "-C", "me@here, with words", "-f", path]);
        if made.is_none() {
            return;
        }
        let key = PublicKey::parse(&fs::read_to_string(file.with_extension("pub")).unwrap()).unwrap();
        let shown = keygen(&["-l", "-f", path]).unwrap();
        assert_eq!(key.fingerprint(), shown.split(' ').nth(1).unwrap(), "{kind}");
        assert_eq!(PublicKey::parse(&key.to_line()).unwrap(), key);
    }
}

#[test]
fn what_is_not_a_key_is_refused() {
    let body = ED25519.split(' ').nth(1).unwrap();
    let corpus = [
        String::new(),
        "ssh-ed25519".to_owned(),
        body.to_owned(),
        format!("ssh-rsa {body}"),
        format!("ssh-dss {body}"),
        format!("command=\"id\" {ED25519}"),
        format!("no-pty {ED25519}"),
        format!("{ED25519}\n{ED25519}"),
        format!("{ED25519}\rx"),
        format!("{ED25519}\t\u{0}"),
        format!("ssh-ed25519 {}", &body[..body.len() - 4]),
        format!("ssh-ed25519 {body}AAAA"),
        format!("ssh-ed25519 {body}!"),
        format!("ssh-ed25519 {}", body.replace("AAAAC3", "AAAAD3")),
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAgEB".to_owned(),
        "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
        format!("ssh-ed25519 {}", "A".repeat(20_000)),
    ];
    for line in corpus {
        assert_eq!(PublicKey::parse(&line).expect_err(&line).code, "key.bad-key", "{line:?}");
    }
    assert!(PublicKey::parse(&format!("{ED25519} a comment\r\n")).is_ok());
}

#[test]
fn the_file_holds_one_restricted_line_for_each_key() {
    let key = PublicKey::parse(&format!("{ED25519} me\" ,command=\"id")).unwrap();
    let keys = [AuthorizedKey { name: "laptop".to_owned(), key: key.clone() }];
    let text = authorized_keys(Path::new("/usr/bin/hop3"), Path::new("/var/lib/hop3"), &keys).unwrap();
    expect_test::expect![[r#"
        # Written by Hop3 from its store; changes made here are lost. See: hop3 key list
        restrict,command="/usr/bin/hop3 git-shell --root /var/lib/hop3 --key laptop" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
    "#]]
    .assert_eq(&text);
    for path in ["/a b", "/a\"", "/a$(id)", "/a;id", "relative", "/a\\b", "/a\nb", "/é"] {
        let problem = authorized_keys(Path::new(path), Path::new("/r"), &keys).expect_err(path);
        assert_eq!(problem.code, "ssh.path-needs-quotes", "{path}");
    }
    for name in ["", "a b", "a\"", "--root", "a\nb", "$(id)", &"x".repeat(65)] {
        assert_eq!(check_name(name).unwrap_err().code, "key.bad-name", "{name}");
        let keys = [AuthorizedKey { name: (*name).to_owned(), key: key.clone() }];
        assert!(authorized_keys(Path::new("/h"), Path::new("/r"), &keys).is_err());
    }
}

#[test]
fn the_file_is_replaced_and_foreign_keys_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("authorized_keys");
    let text = authorized_keys(Path::new("/h"), Path::new("/r"), &[]).unwrap();
    for _ in 0..2 {
        write_authorized_keys(&file, &text).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    let inode = |file: &Path| fs::metadata(file).unwrap().ino();
    let before = inode(&file);
    write_authorized_keys(&file, &text).unwrap();
    assert_eq!(inode(&file), before, "what is unchanged is not written");
    fs::write(&file, ED25519).unwrap();
    assert_eq!(write_authorized_keys(&file, &text).unwrap_err().code, "ssh.foreign-keys");
    assert_eq!(fs::read_to_string(&file).unwrap(), ED25519);
}
