// SPDX-License-Identifier: Apache-2.0
//! What a proxy finds after it was killed at any moment.

use super::{Journal, Line};
use hop3_core::layout::Layout;
use hop3_core::observe::Observe;
use hop3_core::route::Service;
use std::borrow::Cow;
use std::fs;

fn service(name: &str, routes: u32) -> Service {
    let observe = Observe { log_every: routes, ..Observe::default() };
    Service { name: name.into(), observe, ..Service::default() }
}

fn put(journal: &mut Journal, name: &str, version: u32) {
    journal.append(&Line::Put(Cow::Owned(service(name, version)))).unwrap();
}

/// Names and versions that the next proxy would know.
fn known(layout: &Layout) -> Vec<(String, u32)> {
    let (_, table) = Journal::load(layout);
    table.services.into_iter().map(|service| (service.name, service.observe.log_every)).collect()
}

fn named(pairs: &[(&str, u32)]) -> Vec<(String, u32)> {
    pairs.iter().map(|(name, version)| ((*name).to_owned(), *version)).collect()
}

fn room() -> (tempfile::TempDir, Layout) {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::new(root.path());
    fs::create_dir_all(layout.run_of("proxy")).unwrap();
    (root, layout)
}

#[test]
fn changes_count_over_restarts_and_a_whole_table_replaces_them() {
    let (_root, layout) = room();
    let (mut journal, table) = Journal::load(&layout);
    assert!(table.services.is_empty());
    put(&mut journal, "a", 1);
    put(&mut journal, "b", 1);
    journal.append(&Line::Remove("a".into())).unwrap();
    assert_eq!(known(&layout), named(&[("b", 1)]));
    let (mut journal, _) = Journal::load(&layout);
    put(&mut journal, "b", 2);
    put(&mut journal, "c", 1);
    assert_eq!(known(&layout), named(&[("b", 2), ("c", 1)]));
    journal.replace([service("d", 1)].iter()).unwrap();
    assert_eq!(known(&layout), named(&[("d", 1)]));
    put(&mut journal, "e", 1);
    assert_eq!(known(&layout), named(&[("d", 1), ("e", 1)]));
}

#[test]
fn half_a_line_was_never_answered_and_does_not_hide_the_next() {
    let (_root, layout) = room();
    let (mut journal, _) = Journal::load(&layout);
    put(&mut journal, "a", 1);
    put(&mut journal, "b", 1);
    let path = layout.proxy_table().with_extension("changes");
    let text = fs::read_to_string(&path).unwrap();
    for cut in 0..text.len() {
        fs::write(&path, &text[..cut]).unwrap();
        let whole = text[..cut].matches('\n').count();
        assert_eq!(known(&layout), named(&[("a", 1), ("b", 1)][..whole.saturating_sub(1)]), "{cut}");
        let (mut next, _) = Journal::load(&layout);
        put(&mut next, "z", 1);
        assert_eq!(known(&layout).last(), named(&[("z", 1)]).last(), "{cut}");
    }
}

#[test]
fn changes_of_another_generation_are_not_taken() {
    let (_root, layout) = room();
    let (mut journal, _) = Journal::load(&layout);
    put(&mut journal, "old", 1);
    let path = layout.proxy_table().with_extension("changes");
    let old = fs::read(&path).unwrap();
    journal.replace([service("a", 1)].iter()).unwrap();
    // Killed right after the table was renamed.
    fs::write(&path, old).unwrap();
    assert_eq!(known(&layout), named(&[("a", 1)]));
}
