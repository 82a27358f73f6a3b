// SPDX-License-Identifier: Apache-2.0
//! What is held, in words, and where it differs.

use super::{Held, HeldUnit};

fn held(unit: HeldUnit, parts: &[(&str, u64)]) -> Held {
    Held { unit, parts: parts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect() }
}

#[test]
fn what_is_held_is_told_in_words() {
    let told = |unit, parts: &[(&str, u64)]| held(unit, parts).to_string();
    assert_eq!(told(HeldUnit::Rows, &[("a", 48_000), ("b", 210)]), "2 tables, 48,210 rows");
    assert_eq!(told(HeldUnit::Rows, &[("a", 1)]), "1 table, 1 row");
    assert_eq!(told(HeldUnit::Rows, &[]), "0 tables, 0 rows");
    assert_eq!(told(HeldUnit::Keys, &[("0", 1_234_567)]), "1,234,567 lasting keys");
}

#[test]
fn what_is_missing_is_named() {
    let saved = held(HeldUnit::Rows, &[("book", 1_000), ("film", 2), ("gone", 0)]);
    assert_eq!(saved.differences(&saved), Vec::<String>::new());
    let restored = held(HeldUnit::Rows, &[("book", 999), ("film", 2), ("new", 1)]);
    assert_eq!(
        saved.differences(&restored),
        [
            "table book: 1,000 rows were saved, 999 are in what was restored",
            "table gone was saved, and is not there",
            "table new is there, and was not saved",
        ]
    );
}

#[test]
fn of_databases_those_that_were_counted_are_compared() {
    let saved = held(HeldUnit::Keys, &[("0", 0), ("3", 2)]);
    assert_eq!(saved.differences(&held(HeldUnit::Keys, &[("3", 2), ("7", 1)])), Vec::<String>::new());
    let lost = "database 3: 2 keys were saved, 0 are in what was restored";
    assert_eq!(saved.differences(&held(HeldUnit::Keys, &[])), [lost]);
}
