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
    expect_test::expect![
        "4f09cbda93235c30 cdf5a0eb334e9a82 f29e044516257770 de63b5b3adc8f3d8 f6694dd720988934 972eec78bf9540fd 4694398d56b3039d 75c03653b1c0d2c7"
    ]
    .assert_eq(&digests.join(" "));
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

#[test]
fn outlines_tell_the_same_as_the_whole() {
    use hop3_core::sandbox::Command;
    let (_dir, store) = store();
    for (name, processes) in [("new", None), ("site", Some(&[][..])), ("shop", Some(&["web", "worker"][..]))]
    {
        let app = store.create_app(&name.parse().unwrap()).unwrap().unwrap();
        let Some(processes) = processes else { continue };
        let mut artifact = Artifact::default();
        let commands = processes.iter().map(|p| (p.parse().unwrap(), Command::shell("true")));
        artifact.processes.processes = commands.collect();
        for _ in 0..2 {
            store.create_release(&app, &artifact, &BTreeMap::new(), "test").unwrap();
        }
        store.activate_release(&app, hop3_core::release::ReleaseNumber(1)).unwrap();
    }
    let whole: Vec<_> = store
        .serving()
        .unwrap()
        .into_iter()
        .map(|(app, current)| (app, current.map(|(n, a)| (n, a.processes.processes.into_keys().collect()))))
        .collect();
    let outlines: Vec<(App, Option<(_, Vec<_>)>)> = store
        .outlines()
        .unwrap()
        .into_iter()
        .map(|(app, current)| (app, current.map(|(n, outline)| (n, outline.processes().cloned().collect()))))
        .collect();
    assert_eq!(outlines, whole);
    assert_eq!(store.process_names().unwrap(), whole);
    let names: Vec<&str> = outlines.iter().map(|(app, _)| app.name.as_str()).collect();
    assert_eq!(names, ["new", "shop", "site"]);
    assert!(outlines[0].1.is_none());
    assert_eq!(outlines[1].1.as_ref().unwrap().1.len(), 2);
}

#[test]
fn a_checkpoint_leaves_nothing_to_recover() {
    let (dir, store) = store();
    store.create_app(&"one".parse().unwrap()).unwrap().unwrap();
    let log = dir.path().join("hop3.db-wal");
    assert!(log.metadata().unwrap().len() > 0);
    store.checkpoint().unwrap();
    assert_eq!(log.metadata().unwrap().len(), 0);
    assert_eq!(store.apps().unwrap().len(), 1);
}

#[test]
fn the_id_of_a_destroyed_app_is_not_given_again() {
    let (_dir, store) = store();
    let one = store.create_app(&"one".parse().unwrap()).unwrap().unwrap();
    store.destroy_app(&one).unwrap();
    let again = store.create_app(&"one".parse().unwrap()).unwrap().unwrap();
    assert_ne!(one.uid(), again.uid());
}

#[test]
fn two_installations_do_not_share_users() {
    let uid_of_the_first_app = || {
        let (_dir, store) = store();
        store.create_app(&"one".parse().unwrap()).unwrap().unwrap().uid()
    };
    let uids: std::collections::BTreeSet<u32> = (0..8).map(|_| uid_of_the_first_app()).collect();
    assert!(uids.len() > 1, "{uids:?}");
    assert!(uids.iter().all(|uid| (200_001..2_097_152).contains(uid)), "{uids:?}");
}
