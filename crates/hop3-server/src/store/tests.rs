// SPDX-License-Identifier: Apache-2.0
//! The store on real files.

use super::*;
use hop3_core::release::Artifact;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Layout::new(dir.path())).unwrap();
    (dir, store)
}

#[test]
fn a_released_migration_never_changes() {
    let digests: Vec<String> = MIGRATIONS
        .iter()
        .map(|sql| Sha256::digest(sql).iter().take(8).map(|b| format!("{b:02x}")).collect())
        .collect();
    expect_test::expect!["895f952a62a01e01"].assert_eq(&digests.join(" "));
}

#[test]
fn config_is_sealed_at_rest_and_comes_back_byte_exact() {
    let (dir, store) = store();
    let app = store.create_app(&"shop".parse().unwrap()).unwrap().unwrap();
    let pem = "-----BEGIN KEY-----\nc4n4ry\r\n\t'\"$`#%\\ \n-----END KEY-----\n";
    let set = BTreeMap::from([("PEM".parse().unwrap(), pem.to_owned())]);
    store.change_config(&app, &set, &[]).unwrap();
    store.create_release(&app, &Artifact::default(), &set, "test").unwrap();
    assert_eq!(store.config(&app).unwrap(), set);
    drop(store);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"c4n4ry"));
    }
    let again = Store::open(&Layout::new(dir.path())).unwrap();
    assert_eq!(again.config(&app).unwrap(), set);
}

#[test]
fn a_domain_has_one_owner() {
    let (_dir, store) = store();
    let one = store.create_app(&"one".parse().unwrap()).unwrap().unwrap();
    let two = store.create_app(&"two".parse().unwrap()).unwrap().unwrap();
    let domain = "shop.example.org".parse().unwrap();
    assert_eq!(store.add_domain(&one, &domain).unwrap(), None);
    assert_eq!(store.add_domain(&one, &domain).unwrap(), None);
    assert_eq!(store.add_domain(&two, &domain).unwrap(), Some("one".into()));
    store.destroy_app(&one).unwrap();
    assert_eq!(store.add_domain(&two, &domain).unwrap(), None);
}

#[test]
fn a_token_is_found_by_its_digest_only() {
    let (_dir, store) = store();
    let app = store.create_app(&"one".parse().unwrap()).unwrap().unwrap();
    assert!(store.create_token("ci", "hop3_secret", Some(&app)).unwrap());
    assert!(!store.create_token("ci", "hop3_other", None).unwrap());
    assert_eq!(store.grant_of_token("hop3_secret").unwrap(), Some(Grant::App(app.name.clone())));
    assert_eq!(store.grant_of_token("hop3_secre").unwrap(), None);
    assert!(store.revoke_token("ci").unwrap());
    assert_eq!(store.grant_of_token("hop3_secret").unwrap(), None);
}

#[test]
fn releases_are_numbered_per_app_and_the_current_one_is_kept() {
    let (_dir, store) = store();
    let app = store.create_app(&"one".parse().unwrap()).unwrap().unwrap();
    for n in 1..=5 {
        let release = store.create_release(&app, &Artifact::default(), &BTreeMap::new(), "test").unwrap();
        assert_eq!(release.number.0, n);
    }
    store.activate_release(&app, hop3_core::release::ReleaseNumber(2)).unwrap();
    store.forget_old_releases(&app, 2).unwrap();
    let left: Vec<u32> = store.releases(&app).unwrap().iter().map(|r| r.number.0).collect();
    assert_eq!(left, [5, 4, 2]);
}
