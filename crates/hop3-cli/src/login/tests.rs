// SPDX-License-Identifier: Apache-2.0
//! The login file, written and read in a real directory.

use super::Logins;
use expect_test::expect;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_last_login_is_the_default_and_the_file_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hop3/config.toml");
    let mut logins = Logins::read_from(path.clone()).unwrap();
    logins.add("http://one.example", "hop3_1", None).unwrap();
    logins.add("http://two.example/", "hop3_2", None).unwrap();
    expect![[r#"
        default = "http://two.example"

        [servers."http://one.example"]
        token = "hop3_1"

        [servers."http://two.example"]
        token = "hop3_2"
    "#]]
    .assert_eq(&fs::read_to_string(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let mut logins = Logins::read_from(path.clone()).unwrap();
    assert_eq!(logins.default_server(), Some(("http://two.example", "hop3_2".to_owned())));
    assert_eq!(logins.token("http://one.example/").as_deref(), Some("hop3_1"));
    assert_eq!(logins.remove(None).unwrap().as_deref(), Some("http://two.example"));
    assert_eq!(logins.remove(Some("http://three.example")).unwrap(), None);
    let logins = Logins::read_from(path).unwrap();
    assert_eq!(logins.default_server(), Some(("http://one.example", "hop3_1".to_owned())));
}

#[test]
fn a_broken_file_is_told_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    fs::write(&path, "servers = 3").unwrap();
    let problem = Logins::read_from(path.clone()).err().unwrap();
    assert_eq!(problem.code, "cli.bad-login-file");
    assert_eq!(fs::read_to_string(&path).unwrap(), "servers = 3");
}
