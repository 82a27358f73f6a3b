// SPDX-License-Identifier: Apache-2.0
//! Rows of backups, and what is left of them.

use super::*;
use expect_test::{Expect, expect};
use jiff::civil::date;
use jiff::{Span, ToSpan};

/// Every six hours for that long, back from noon of a Wednesday.
fn check(back: Span, keep: [u32; 4], expect: Expect) {
    let [last, daily, weekly, monthly] = keep;
    let newest = date(2026, 3, 4).at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
    let oldest = &newest - back;
    let mut times = Vec::new();
    let mut time = newest;
    while time >= oldest {
        times.push(time.timestamp().as_millisecond() as u64);
        time = &time - 6.hours();
    }
    let kept = kept(&times, Keep { last, daily, weekly, monthly }, &TimeZone::UTC);
    let shown = kept.iter().map(|at| {
        let time = Timestamp::from_millisecond(times[*at] as i64).unwrap().to_zoned(TimeZone::UTC);
        time.strftime("%a %m-%d %H").to_string()
    });
    expect.assert_eq(&shown.collect::<Vec<_>>().join(", "));
}

#[test]
fn the_newest_of_each_span_is_kept() {
    check(3.days(), [2, 0, 0, 0], expect!["Wed 03-04 12, Wed 03-04 06"]);
    check(3.days(), [0, 3, 0, 0], expect!["Wed 03-04 12, Tue 03-03 18, Mon 03-02 18"]);
    check(30.days(), [1, 2, 3, 0], expect!["Wed 03-04 12, Tue 03-03 18, Sun 03-01 18, Sun 02-22 18"]);
    check(90.days(), [1, 0, 0, 3], expect!["Wed 03-04 12, Sat 02-28 18, Sat 01-31 18"]);
    check(1.days(), [0, 0, 0, 0], expect![""]);
    check(
        1.days(),
        [100, 100, 100, 100],
        expect!["Wed 03-04 12, Wed 03-04 06, Wed 03-04 00, Tue 03-03 18, Tue 03-03 12"],
    );
}
