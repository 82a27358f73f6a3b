// SPDX-License-Identifier: Apache-2.0
//! Constraints in every dialect, and what they take.

use super::*;

const OUTPUTS: &[(&str, &str)] = &[
    ("Python 3.11.2", "3.11.2"),
    ("v20.20.2", "20.20.2"),
    ("go version go1.22.3 linux/amd64", "1.22.3"),
    ("uv 0.9.1 (abc 2025-01-01)", "0.9.1"),
    ("ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]", "3.1.2"),
    ("PHP 8.2.29 (cli) (built: Jul  3 2025 16:16:05) (NTS)", "8.2.29"),
    ("openjdk version \"17.0.16\" 2025-07-15", "17.0.16"),
    ("rustc 1.95.0 (abc 2026-01-01)", "1.95.0"),
    ("11.19.1\n", "11.19.1"),
    ("nothing", ""),
];

#[test]
fn versions_are_found_in_what_tools_print() {
    for (output, version) in OUTPUTS {
        let found = Version::find(output).map(|version| version.to_string()).unwrap_or_default();
        assert_eq!(found, *version, "{output}");
    }
}

/// Constraint; versions it takes; versions it does not.
const CONSTRAINTS: &[(&str, &[&str], &[&str])] = &[
    ("", &["1", "99.9.9"], &["3.13.0rc1"]),
    ("*", &["1.2.3"], &[]),
    ("3.12", &["3.12.0", "3.12.9"], &["3.11.9", "3.13.0", "3.1.0", "3.120.0"]),
    ("3.12.4", &["3.12.4"], &["3.12.3", "3.12.5"]),
    ("v20", &["20.0.0", "20.20.2"], &["21.0.0", "2.0.0"]),
    (">=3.10", &["3.10.0", "3.14.1", "4.0"], &["3.9.18"]),
    (">= 3.10, < 3.13", &["3.12.1"], &["3.13.0", "3.9.0"]),
    (">=3.10,<3.13,!=3.11.*", &["3.10.1", "3.12.1"], &["3.11.7"]),
    ("==3.12.*", &["3.12.7"], &["3.13.0"]),
    ("~=3.11", &["3.11.0", "3.13.0"], &["4.0.0", "3.10.0"]),
    ("~=3.11.2", &["3.11.2", "3.11.9"], &["3.12.0", "3.11.1"]),
    ("^3.11", &["3.11.0", "3.13.1"], &["4.0.0", "3.10.9"]),
    ("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0", "0.2.2"]),
    ("^0", &["0.1.0", "0.9.0"], &["1.0.0"]),
    ("~3.11", &["3.11.9"], &["3.12.0"]),
    ("~18", &["18.9.0"], &["19.0.0"]),
    ("~1.2.3", &["1.2.9"], &["1.3.0", "1.2.2"]),
    ("18.x || >=20", &["18.1.0", "20.0.0", "24.1.0"], &["19.1.0", "17.0.0"]),
    (">=18 <23", &["18.0.0", "22.9.0"], &["23.0.0"]),
    ("18 - 20", &["18.0.0", "20.9.0"], &["21.0.0", "17.9.9"]),
    ("<=20", &["20.9.0"], &["21.0.0"]),
    (">18", &["19.0.0"], &["18.9.0"]),
    ("~> 3.1", &["3.1.0", "3.4.0"], &["4.0.0", "3.0.0"]),
    ("~> 3.1.2", &["3.1.9"], &["3.2.0"]),
    ("8.1.*|8.2.*", &["8.1.1", "8.2.1"], &["8.3.0"]),
    ("1.x", &["1.0.0", "1.22.22"], &["2.0.0"]),
    ("latest", &["24.0.0"], &[]),
    ("~> x", &["24.0.0"], &["24.0.0rc1"]),
    ("~=*", &["3.11.0"], &[]),
    ("<=*", &["24.0.0"], &[]),
    ("18 - *", &["24.0.0"], &["17.0.0"]),
];

#[test]
fn constraints_take_what_their_dialect_means() {
    for (constraint, taken, refused) in CONSTRAINTS {
        let wanted = Wanted::parse(constraint).expect(constraint);
        for version in *taken {
            assert!(wanted.takes(&Version::parse(version).unwrap()), "{constraint} takes {version}");
        }
        for version in *refused {
            assert!(!wanted.takes(&Version::parse(version).unwrap()), "{constraint} refuses {version}");
        }
    }
}

#[test]
fn words_that_are_no_constraint_are_told() {
    for text in ["lts/iron", "nightly", "!!", "^", "three", "graalvm", "|", "<*", ">x", "!=*", "* <*"] {
        assert_eq!(Wanted::parse(text), None, "{text}");
    }
}

#[test]
fn ranges_for_clients_are_plain() {
    let range = |text: &str| Wanted::parse(text).unwrap().range(",");
    assert_eq!(range("^22.1"), ">=22.1,<23");
    assert_eq!(range("18.x || 20.x"), ">=20,<21");
    assert_eq!(range(">=18"), ">=18");
    assert_eq!(range(""), "");
    assert_eq!(Wanted::parse("3.12.4").unwrap().exact(), Version::parse("3.12.4"));
    assert_eq!(Wanted::parse("3.12").unwrap().exact(), None);
    assert_eq!(Wanted::parse("!=3 3.35.2").unwrap().exact(), None);
}
