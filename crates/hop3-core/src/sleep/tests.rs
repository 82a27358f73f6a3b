// SPDX-License-Identifier: Apache-2.0
//! Times as people write them, and what they lead to.

use super::*;

#[test]
fn times_have_units() {
    let read = ["90", "90s", "10m", "2h", "1d", "never", "0"].map(parse_time);
    assert_eq!(read, [90, 90, 600, 7_200, 86_400, 0, 0].map(Some));
    for wrong in ["", "m", "10 m", "-1", "1w", "99999999d", "1.5h"] {
        assert_eq!(parse_time(wrong), None, "{wrong}");
    }
}

#[test]
fn the_deeper_sleep_comes_later() {
    let times = SleepTimes { freeze_after_secs: Some(60), stop_after_secs: Some(600) };
    let due = [59, 60, 599, 600].map(|secs| times.due(Duration::from_secs(secs)));
    assert_eq!(due, [None, Some(Sleep::Frozen), Some(Sleep::Frozen), Some(Sleep::Stopped)]);
}

#[test]
fn without_times_it_is_stopped_after_the_default_and_with_freezing_alone_never() {
    let week = Duration::from_secs(7 * 86_400);
    assert_eq!(SleepTimes::default().due(DEFAULT_STOP_AFTER), Some(Sleep::Stopped));
    let freezing = SleepTimes { freeze_after_secs: Some(60), stop_after_secs: None };
    assert_eq!(freezing.due(week), Some(Sleep::Frozen));
    let never = SleepTimes { freeze_after_secs: None, stop_after_secs: Some(0) };
    assert_eq!((never.due(week), never.first()), (None, None));
}

#[test]
fn a_range_holds_counts() {
    let range = Range { least: 0, most: 3 };
    assert_eq!([0, 1, 3, 9].map(|count| range.nearest(count)), [1, 1, 3, 3]);
    assert_eq!((range.to_string(), Range::exactly(2).to_string()), ("0..3".into(), "2".into()));
}
