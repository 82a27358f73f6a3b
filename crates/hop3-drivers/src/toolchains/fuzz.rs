// SPDX-License-Identifier: Apache-2.0
//! What must hold of versions and of what authors ask for, whatever they write (`crate::fuzz`).

use super::version::{Version, Wanted};

/// A constraint and a version, a line each.
pub fn version(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (asked, found) = text.split_once('\n').unwrap_or((&text, "1.2.3"));
    let version = Version::find(found);
    if let Some(version) = &version {
        let again = Version::parse(&version.to_string()).expect("a version is written as one");
        assert!(again.agrees(version, 4), "{found:?} is written as {version}");
    }
    let Some(wanted) = Wanted::parse(asked) else { return };
    if let Some(exact) = wanted.exact() {
        assert!(wanted.takes(&exact), "{text:?} does not take what it names");
    }
    let range = wanted.range(",");
    assert!(range.bytes().all(|b| b.is_ascii_digit() || b"<>=.,".contains(&b)), "{range:?}");
    // What package clients are told takes what the author asked for, but for exceptions and alternatives.
    if let Some(version) = version.filter(|_| !asked.contains(['|', '!'])) {
        let told = Wanted::parse(&range).expect("a range is a constraint");
        assert!(
            !wanted.takes(&version) || told.takes(&version),
            "{asked:?} takes {version}, {range:?} does not"
        );
    }
}
