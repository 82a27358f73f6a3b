// SPDX-License-Identifier: Apache-2.0
//! What is kept, for how long, and when it is read again.

use super::{Choice, MAX_SETS, RETRY, Sets};
use std::time::{Duration, Instant};

fn choice(number: u32) -> Choice {
    Choice { paranoia: 1, without: vec![number] }
}

#[test]
fn what_is_there_is_not_read_again_and_the_longest_unused_goes() {
    let (mut sets, mut reads, now) = (Sets::new(), Vec::new(), Instant::now());
    let mut get = |number: u32| {
        let got = sets.get(choice(number), now, |_| {
            reads.push(number);
            Ok(number)
        });
        assert_eq!(got, Ok(&number));
    };
    let kept = MAX_SETS as u32;
    (0..kept).for_each(&mut get);
    get(0);
    get(kept);
    // The first was used since, the second was not.
    get(0);
    get(1);
    assert_eq!(reads, (0..=kept).chain([1]).collect::<Vec<_>>());
}

#[test]
fn what_could_not_be_read_is_tried_again_after_a_while() {
    let (mut sets, begun) = (Sets::new(), Instant::now());
    let mut at = |after: Duration, found: Result<u32, String>| {
        sets.get(choice(1), begun + after, |_| found).copied().map_err(str::to_owned)
    };
    let broken = Err("a mistake in line 1".to_owned());
    assert_eq!(at(Duration::ZERO, broken.clone()), broken);
    // Not for each question.
    assert_eq!(at(RETRY / 2, Ok(7)), broken);
    assert_eq!(at(RETRY, Ok(7)), Ok(7));
    // Rules that were read stay, whatever became of the files.
    assert_eq!(at(RETRY * 9, broken), Ok(7));
}
