// SPDX-License-Identifier: Apache-2.0
//! The lists of malformed requests beside this file, and how such lists are read.

pub(crate) struct Case {
    pub(crate) status: u16,
    pub(crate) bytes: Vec<u8>,
    /// As it stands in the list.
    pub(crate) text: &'static str,
}

/// Requests whose heads are refused.
pub(crate) fn heads() -> Vec<Case> {
    cases(include_str!("malformed.txt"))
}

/// Requests whose chunked bodies are refused.
pub(crate) fn bodies() -> Vec<Case> {
    cases(include_str!("malformed-bodies.txt"))
}

fn cases(text: &'static str) -> Vec<Case> {
    let case = |(status, bytes, text): (&str, Vec<u8>, &'static str)| {
        let status = status.parse().unwrap_or_else(|_| panic!("no status: {status} {text}"));
        Case { status, bytes, text }
    };
    cases_of(text).into_iter().map(case).collect()
}

/// The first word of each line, and the bytes that the rest stands for.
pub(crate) fn cases_of(text: &'static str) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (word, text) = line.split_once(' ').unwrap();
            (word, unescape(text), text)
        })
        .collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'\\' => b'\\',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => panic!("\\{} in {text}", other as char),
            },
            byte => byte,
        });
    }
    bytes
}
