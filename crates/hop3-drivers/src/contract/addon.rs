// SPDX-License-Identifier: Apache-2.0
//! The contract of `Addon`: judges a kind by what a client of its product can do, on a real server that a supervisor
//! keeps. An answer is a list of broken rules in words; a kind that keeps them all gets an empty one. What a kind says
//! it cannot do is not asked of it.

mod crash;
mod data;
mod door;
mod ground;
mod writer;

pub use ground::{Client, Ground, key};

use ground::{Judge, Verdict};

type Rule = fn(&Judge<'_>) -> Verdict;

/// Judges a kind in the newest version that is installed.
pub fn broken_rules(ground: &Ground<'_>) -> Vec<String> {
    let facts = ground.driver.facts();
    let Some(version) = facts.versions.first() else {
        return vec![format!("{} is not installed: {}", facts.title, facts.install)];
    };
    let judge = Judge::new(ground, version);
    let can = facts.capabilities;
    let rules: [(&str, bool, Rule); 11] = [
        ("creates", true, door::creates),
        ("strangers", true, door::strangers),
        ("rotates", can.rotates, door::rotates),
        ("closes", can.rotates, door::closes),
        ("carries", can.backs_up, data::carries),
        ("counts", can.backs_up, data::counts),
        ("refuses", can.backs_up, data::refuses),
        ("is away", can.serves, crash::away),
        ("crashes", can.serves && can.backs_up, crash::crashes),
        ("destroys", true, data::destroys),
        ("retires", can.serves, crash::retires),
    ];
    let mut broken = Vec::new();
    for (rule, _, judged) in rules.iter().filter(|(_, is_able, _)| *is_able) {
        match judged(&judge) {
            Ok(words) => broken.extend(words.into_iter().map(|word| format!("{rule}: {word}"))),
            Err(trouble) => broken.push(format!("{rule}: {trouble}")),
        }
    }
    broken.extend(judge.end());
    broken
}
