// SPDX-License-Identifier: Apache-2.0
//! One table out of a backup: its rows as they were then, in place or beside, while all else stays as it is now.

use crate::addon::{can_run, rows};
use crate::backup::{create, has_restic};
use crate::harness::{Hop, fixture};

#[test]
fn a_table_comes_back_alone() {
    let test = "a_table_comes_back_alone";
    if !has_restic(test) || !can_run(test) {
        return;
    }
    let hop = Hop::start();
    hop.push("shop", &fixture("database"));
    rows(&hop, "shop", "create table orders (id int primary key, total int)");
    rows(&hop, "shop", "create table line (orders int references orders, what text)");
    rows(&hop, "shop", "insert into orders values (1, 10), (2, 20)");
    rows(&hop, "shop", "insert into line values (1, 'tea')");
    let id = create(&hop, &["-a", "shop"]);
    // The accident, and what came after it.
    rows(&hop, "shop", "update orders set total = 0");
    rows(&hop, "shop", "delete from orders where id = 2");
    rows(&hop, "shop", "insert into line values (1, 'milk')");
    let restore = |rest: &[&str]| {
        hop.hop3(["backup", "restore", &id, "--addon", "books", "--table"].iter().chain(rest))
    };
    let totals = |table: &str| {
        rows(
            &hop,
            "shop",
            &format!("select string_agg(concat(id, '=', total), ' ' order by id) from {table}"),
        )
    };
    assert!(!restore(&["orders"]).ok, "nobody said so");
    restore(&["orders", "--as", "orders_then"]).expect_ok();
    assert_eq!(totals("orders_then"), "1=10 2=20");
    assert_eq!(totals("orders"), "1=0");
    restore(&["orders", "--confirm", "books"]).expect_ok();
    assert_eq!(totals("orders"), "1=10 2=20");
    assert_eq!(rows(&hop, "shop", "select string_agg(what, ' ') from line"), "tea milk");

    // A line of now points to an order that was not there then.
    rows(&hop, "shop", "insert into orders values (3, 30)");
    rows(&hop, "shop", "insert into line values (3, 'bread')");
    let refused = restore(&["orders", "--confirm", "books"]);
    assert!(refused.text.contains("addon.table-needed") && refused.text.contains("line"), "{}", refused.text);
    assert_eq!(totals("orders"), "1=10 2=20 3=30");
    for (arguments, code) in [
        (["films", "--as", "x"], "addon.no-table"),
        (["orders", "--as", "line"], "addon.table-exists"),
        (["orders; drop table line", "--as", "x"], "addon.bad-table"),
        (["orders", "--as", "x; drop table line"], "addon.bad-table"),
        (["a.b.c", "--as", "x"], "addon.bad-table"),
        (["--", "--as", "x"], ""),
    ] {
        let refused = restore(&arguments);
        assert!(!refused.ok && refused.text.contains(code), "{arguments:?}: {}", refused.text);
    }
    assert_eq!(rows(&hop, "shop", "select count(*) from line"), "3");
}

#[test]
fn a_kind_without_tables_says_so() {
    let test = "a_kind_without_tables_says_so";
    if !has_restic(test) || !crate::ledger::can_run(test, "redis") {
        return;
    }
    let hop = Hop::start();
    hop.hop3(["addon", "create", "redis", "cache"]).expect_ok();
    let id = create(&hop, &["--server"]);
    let refused = hop.hop3(["backup", "restore", &id, "--addon", "cache", "--table", "x", "--as", "y"]);
    assert!(!refused.ok && refused.text.contains("addon.no-tables"), "{}", refused.text);
}
