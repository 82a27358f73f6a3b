// SPDX-License-Identifier: Apache-2.0
//! Versions and the ways in which authors ask for them: npm ranges, PEP 440, Poetry, Composer and Bundler constraints,
//! plain prefixes. All are read into half-open intervals; a version named short stands for everything it begins.

use std::fmt;

/// Numbers between dots; a pre-release is older than its release and only taken when asked for by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub numbers: Vec<u64>,
    pub is_release: bool,
}

impl Version {
    /// Reads the first thing that looks like a version: `go version go1.22.3 linux/amd64`, `"17.0.9"`, `v20.1.0`.
    pub(super) fn find(text: &str) -> Option<Version> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"._+-".contains(c));
        words
            .filter(|word| word.contains('.'))
            .find_map(Version::parse)
            .or_else(|| Version::parse(text.trim()))
    }

    /// Reads a word such as `3.12`, `v20.1.0`, `go1.22rc1`, `3.1.2p20`.
    pub(super) fn parse(word: &str) -> Option<Version> {
        let word = word.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '-');
        let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
        let (plain, rest) = word.split_at(end);
        let numbers: Vec<u64> =
            plain.trim_end_matches('.').split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        let marks =
            ["rc", "a", "b", "-rc", "-alpha", "-beta", "-dev", "-pre", "-nightly", "-canary", "-next"];
        let is_release = !marks.iter().any(|mark| rest.trim_start_matches('.').starts_with(mark));
        Some(Version { numbers, is_release })
    }

    /// Tells whether both begin with the same `count` numbers.
    pub(super) fn agrees(&self, other: &Version, count: usize) -> bool {
        let of = |version: &Version| {
            version.numbers.iter().copied().chain(std::iter::repeat(0)).take(count).collect::<Vec<_>>()
        };
        of(self) == of(other)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&dotted(&self.numbers))
    }
}

fn dotted(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// What an author asks for: one of these intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted(Vec<Interval>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Interval {
    /// At least this.
    low: Vec<u64>,
    /// Less than this.
    high: Option<Vec<u64>>,
    /// Nothing that begins like one of these.
    not: Vec<Vec<u64>>,
}

impl Wanted {
    /// Reads a constraint; `None` when it is none. Empty text, `*`, `latest` and the like take anything.
    pub(super) fn parse(text: &str) -> Option<Wanted> {
        let text = text.trim().trim_matches(['"', '\'']);
        if ["", "*", "x", "latest", "stable", "system", "current"].contains(&text) {
            return Some(Wanted(vec![Interval::default()]));
        }
        let alternatives = text.split('|').map(str::trim).filter(|part| !part.is_empty());
        alternatives.map(Interval::parse).collect::<Option<Vec<_>>>().map(Wanted).filter(|w| !w.0.is_empty())
    }

    pub(super) fn takes(&self, version: &Version) -> bool {
        self.0.iter().any(|interval| interval.takes(version))
    }

    /// The version that was named in full, and how many of its numbers must agree when it cannot be had exactly.
    pub(super) fn exact(&self) -> Option<Version> {
        let [interval] = &self.0[..] else { return None };
        let is_exact = interval.low.len() == 3 && interval.high.as_ref() == Some(&next(&interval.low));
        let exact = is_exact.then(|| Version { numbers: interval.low.clone(), is_release: true })?;
        // What a further clause leaves out cannot be had.
        interval.takes(&exact).then_some(exact)
    }

    /// Tells whether nothing older than that major version will do.
    pub(super) fn begins_at(&self, major: u64) -> bool {
        self.0.iter().all(|interval| interval.low.first().is_some_and(|low| *low >= major))
    }

    /// For a package client, in the words all of them understand: `>=18,<23`. The newest of several alternatives.
    pub(super) fn range(&self, separator: &str) -> String {
        let Some(interval) = self.0.iter().max_by_key(|interval| &interval.low) else { return String::new() };
        let low = (!interval.low.is_empty()).then(|| format!(">={}", dotted(&interval.low)));
        let high = interval.high.as_ref().map(|high| format!("<{}", dotted(high)));
        low.into_iter().chain(high).collect::<Vec<_>>().join(separator)
    }
}

impl Interval {
    fn parse(text: &str) -> Option<Interval> {
        if let Some((low, high)) = text.split_once(" - ") {
            let high = numbers(high.trim())?;
            let high = (!high.is_empty()).then(|| next(&high));
            return Some(Interval { low: numbers(low.trim())?, high, not: Vec::new() });
        }
        let mut interval = Interval::default();
        for clause in clauses(text) {
            interval.narrow(&clause)?;
        }
        Some(interval)
    }

    fn takes(&self, version: &Version) -> bool {
        let below = |high: &Vec<u64>| version.numbers < *high;
        version.is_release
            && version.numbers >= self.low
            && self.high.as_ref().is_none_or(below)
            && !self.not.iter().any(|not| version.numbers.starts_with(not))
    }

    fn narrow(&mut self, clause: &str) -> Option<()> {
        let digits = clause.find(|c: char| c.is_ascii_alphanumeric() || c == '*')?;
        let (operator, version) = clause.split_at(digits);
        let numbers = numbers(version)?;
        match operator.trim() {
            // Older or newer than any, or none of all: nothing is that.
            "<" | ">" | "!=" if numbers.is_empty() => return None,
            "<=" if numbers.is_empty() => {}
            ">=" => self.at_least(numbers),
            ">" => self.at_least(next(&numbers)),
            "<" => self.below(numbers),
            "<=" => self.below(next(&numbers)),
            "!=" => self.not.push(numbers),
            "^" => self.within(&numbers, caret(&numbers)),
            "~" => self.within(&numbers, numbers.len().min(2)),
            // "Compatible": the last number named may grow.
            "~=" | "~>" => self.within(&numbers, numbers.len().saturating_sub(1).max(1)),
            "" | "=" | "==" | "===" => self.within(&numbers, numbers.len()),
            _ => return None,
        }
        Some(())
    }

    fn at_least(&mut self, low: Vec<u64>) {
        self.low = low.max(std::mem::take(&mut self.low));
    }

    fn below(&mut self, high: Vec<u64>) {
        self.high = Some(self.high.take().map_or(high.clone(), |old| old.min(high)));
    }

    /// At least the version, the first `fixed` numbers unchanged.
    fn within(&mut self, numbers: &[u64], fixed: usize) {
        self.at_least(numbers.to_vec());
        let fixed = fixed.min(numbers.len());
        if fixed > 0 {
            self.below(next(&numbers[..fixed]));
        }
    }
}

/// How many numbers a caret keeps: up to the first that is not zero.
fn caret(numbers: &[u64]) -> usize {
    numbers.iter().position(|number| *number != 0).map_or(numbers.len(), |zeros| zeros + 1)
}

/// The first version that does not begin with these numbers.
fn next(numbers: &[u64]) -> Vec<u64> {
    let mut next = numbers.to_vec();
    if let Some(last) = next.last_mut() {
        *last = last.saturating_add(1);
    }
    next
}

/// The numbers of `3.12.*`, `18.x`, `v20`, `1.22rc1`; a star leaves the rest open, and so does saying nothing.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let text = text.trim().trim_start_matches('v');
    let is_star = |part: &&str| matches!(*part, "*" | "x" | "X");
    let named: Vec<&str> = text.split('.').take_while(|part| !is_star(part)).collect();
    if named.is_empty() { Some(Vec::new()) } else { Version::parse(&named.join(".")).map(|v| v.numbers) }
}

/// Cuts at commas and blanks, an operator staying with its version.
fn clauses(text: &str) -> Vec<String> {
    let mut clauses: Vec<String> = Vec::new();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        match clauses.last_mut() {
            Some(last) if !last.contains(|c: char| c.is_ascii_alphanumeric() || c == '*') => {
                last.push_str(word)
            }
            _ => clauses.push(word.to_owned()),
        }
    }
    clauses
}

#[cfg(test)]
mod tests;
