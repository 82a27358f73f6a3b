// SPDX-License-Identifier: Apache-2.0
//! Schedules as text, minutes as numbers.

use super::*;

/// Lists which of the minutes `(minute, hour, day, month, weekday)` are meant.
fn due(schedule: &str, minutes: &[(u8, u8, u8, u8, u8)]) -> Vec<bool> {
    let schedule = Schedule::parse(schedule).expect(schedule);
    let at = |&(minute, hour, day, month, weekday): &(u8, u8, u8, u8, u8)| {
        schedule.matches(Minute { minute, hour, day, month, weekday })
    };
    minutes.iter().map(at).collect()
}

#[test]
fn fields_take_stars_lists_ranges_steps_and_names() {
    assert_eq!(due("* * * * *", &[(0, 0, 1, 1, 0), (59, 23, 31, 12, 6)]), [true, true]);
    assert_eq!(
        due("*/20 * * * *", &[(0, 5, 1, 1, 0), (40, 5, 1, 1, 0), (41, 5, 1, 1, 0)]),
        [true, true, false]
    );
    assert_eq!(
        due("5/10 * * * *", &[(0, 5, 1, 1, 0), (5, 5, 1, 1, 0), (55, 5, 1, 1, 0)]),
        [false, true, true]
    );
    assert_eq!(
        due("0 8-10,18 * * *", &[(0, 9, 1, 1, 0), (0, 18, 1, 1, 0), (0, 11, 1, 1, 0)]),
        [true, true, false]
    );
    assert_eq!(
        due("0 0 1 JAN,jul *", &[(0, 0, 1, 1, 3), (0, 0, 1, 7, 3), (0, 0, 1, 2, 3)]),
        [true, true, false]
    );
    assert_eq!(
        due("0 0 * * mon-fri", &[(0, 0, 2, 1, 1), (0, 0, 2, 1, 0), (0, 0, 2, 1, 6)]),
        [true, false, false]
    );
    assert_eq!(due("0 0 * * 7", &[(0, 0, 2, 1, 0), (0, 0, 2, 1, 1)]), [true, false]);
}

#[test]
fn two_restricted_day_fields_are_joined_by_or() {
    let minutes = [(0, 0, 13, 3, 1), (0, 0, 14, 3, 5), (0, 0, 14, 3, 1)];
    assert_eq!(due("0 0 13 * fri", &minutes), [true, true, false]);
    assert_eq!(
        due("0 0 */13 * fri", &[(0, 0, 14, 3, 5), (0, 0, 14, 3, 4), (0, 0, 15, 3, 5)]),
        [true, false, false]
    );
}

#[test]
fn impossible_schedules_are_refused() {
    let corpus = [
        "",
        "* * * *",
        "* * * * * *",
        "@reboot",
        "@daily",
        "*/0 * * * *",
        "61 * * * *",
        "* 25 * * *",
        "* * 32 * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "+5 * * * *",
        "-1 * * * *",
        "1,,2 * * * *",
        "a * * * *",
        "* * * * monday",
        "999 * * * *",
        "1-2-3 * * * *",
        "* * * * %",
        "1;id * * * *",
        "*/ * * * *",
        "/5 * * * *",
    ];
    for schedule in corpus {
        let problem = Schedule::parse(schedule).expect_err(schedule);
        assert_eq!(problem.code, "cron.bad-schedule", "{schedule}");
    }
}
