// SPDX-License-Identifier: Apache-2.0
//! Each kind that keeps data, with an app that writes to it on every request: its password is changed under load, it is
//! carried away and back, another one is bound and unbound, and no request fails for it.

use crate::addon_search;
use crate::harness::{Hop, skip, until};
use crate::ledger::{Ledger, can_run};

const ROTATIONS: usize = 2;

fn url(hop: &Hop, app: &str) -> String {
    hop.get(app, "/url").text()
}

/// Rotates, and waits until what the app knew before is refused.
fn rotate(hop: &Hop, ledger: &Ledger) {
    let former = url(hop, &ledger.app);
    hop.hop3(["addon", "credentials", "rotate", &ledger.addon]).expect_ok();
    let fresh = url(hop, &ledger.app);
    assert_ne!(fresh, former);
    ledger.more(100);
    until("the former password is refused", || hop.get(&ledger.app, &format!("/try?{former}")).status == 503);
    assert_eq!(hop.get(&ledger.app, &format!("/try?{fresh}")).text(), "open");
    ledger.more(100);
}

/// Another addon with the same numbers, and the same again through a file; it is bound for a while.
fn carry(hop: &Hop, ledger: &Ledger) {
    ledger.more(50);
    let file = hop.scratch().join(format!("{}.backup", ledger.addon));
    let copy = format!("{}-copy", ledger.addon);
    hop.hop3(["addon", "clone", &ledger.addon, &copy]).expect_ok();
    hop.hop3(["addon", "export", &ledger.addon, file.to_str().unwrap()]).expect_ok();
    hop.hop3(["addon", "import", &copy, file.to_str().unwrap(), "--confirm", &copy]).expect_ok();
    let info = hop.json(["addon", "info", &copy, "--json"]);
    assert_eq!(info["status"]["is_up"], true, "{info}");
    hop.hop3(["addon", "bind", &copy, "-a", &ledger.app]).expect_ok();
    ledger.more(50);
    let refused = hop.hop3(["addon", "destroy", &copy, "--confirm", &copy]);
    assert!(!refused.ok && refused.text.contains("addon.bound"), "{}", refused.text);
    hop.hop3(["addon", "unbind", &copy, "-a", &ledger.app]).expect_ok();
    ledger.more(50);
    hop.hop3(["addon", "destroy", &copy, "--confirm", &copy, "--now"]).expect_ok();
    ledger.more(50);
}

fn serves(kind: &str, test: &str) {
    if can_run(test, kind) {
        serves_on(&Hop::start(), kind);
    }
}

fn serves_on(hop: &Hop, kind: &str) {
    let (ledger, _repository) = Ledger::start(hop, kind);
    judge(kind, hop, ledger);
}

fn serves_from_a_pool(mode: &str, test: &str) {
    if can_run(test, "postgres") && crate::addon_pool::has_pooler(test) {
        let hop = Hop::start();
        let options = format!("options = {{ pool = \"{mode}\" }}\n");
        let (ledger, _repository) = Ledger::start_with(&hop, "pooled", "postgres", &options);
        judge(&format!("postgres, pool={mode}"), &hop, ledger);
    }
}

fn judge(kind: &str, hop: &Hop, ledger: Ledger) {
    ledger.more(100);
    (0..ROTATIONS).for_each(|_| rotate(hop, &ledger));
    carry(hop, &ledger);
    assert_eq!(ledger.lost(hop), [0; 0]);
    let (acknowledged, failures) = ledger.stop();
    println!("{kind}: {acknowledged} requests, {} failures, {ROTATIONS} rotations", failures.len());
    assert!(
        failures.is_empty(),
        "{} of {acknowledged} failed: {:#?}",
        failures.len(),
        &failures[..failures.len().min(10)]
    );
}

#[test]
fn postgres_changes_its_password_under_load() {
    serves("postgres", "postgres_changes_its_password_under_load");
}

#[test]
fn a_pool_of_transactions_changes_its_password_under_load() {
    serves_from_a_pool("transaction", "a_pool_of_transactions_changes_its_password_under_load");
}

#[test]
fn a_pool_of_sessions_changes_its_password_under_load() {
    serves_from_a_pool("session", "a_pool_of_sessions_changes_its_password_under_load");
}

#[test]
fn mysql_changes_its_password_under_load() {
    serves("mysql", "mysql_changes_its_password_under_load");
}

#[test]
fn redis_changes_its_password_under_load() {
    serves("redis", "redis_changes_its_password_under_load");
}

#[test]
fn meilisearch_changes_its_key_under_load() {
    let hop = Hop::start();
    match addon_search::bring(&hop) {
        Some(_) => serves_on(&hop, "meilisearch"),
        None => skip("meilisearch_changes_its_key_under_load", "there is no meilisearch on the path"),
    }
}
