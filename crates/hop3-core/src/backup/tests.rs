// SPDX-License-Identifier: Apache-2.0
//! Ids and locations.

use super::*;

#[test]
fn no_password_of_a_location_is_shown() {
    for (location, shown) in [
        ("/mnt/backup", "/mnt/backup"),
        ("sftp:hop3@nas:/volume", "sftp:hop3@nas:/volume"),
        ("rest:https://user:secret@host:8000/a/b", "rest:https://user:***@host:8000/a/b"),
        ("rest:https://user:se@cret@host", "rest:https://user:***@host"),
        ("rest:https://token@host/", "rest:https://***@host/"),
        ("s3:https://s3.example.org/bucket", "s3:https://s3.example.org/bucket"),
        ("rest:https://host/path@odd", "rest:https://host/path@odd"),
    ] {
        assert_eq!(shown_location(location), shown);
    }
    assert!(is_path("/mnt") && !is_path("sftp:x") && !is_path("relative"));
}

#[test]
fn an_id_is_a_word_of_paths_and_tags() {
    assert!("20260301-140509-3f9a".parse::<BackupId>().is_ok());
    for bad in
        ["", "latest", "../../etc", "20260301,tag", "-20260301 x", "20260301-140509-3F9A", &"a".repeat(41)]
    {
        assert!(bad.parse::<BackupId>().is_err(), "{bad}");
    }
}
