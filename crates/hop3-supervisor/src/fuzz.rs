// SPDX-License-Identifier: Apache-2.0
//! What must hold for any bytes, built into the tests and into the programs in the folder `fuzz` at the top
//! (`cfg(fuzzing)`), since the parsers are private. The product has none of it.

pub use crate::log::fuzz::log_records;

use crate::line::{LINE_MAX_BYTES, Splitter, sanitise};
use crate::protocol::{Answer, Control, Request};

fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
    pieces.for_each(|piece| splitter.feed(piece, &mut |line| lines.push(line.to_owned())));
    splitter.finish(&mut |line| lines.push(line.to_owned()));
    lines
}

/// Output gives the same lines in any pieces, and none of them does anything to a terminal but colours.
pub fn output_lines(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    // Short inputs are what is searched among; long lines are made of them.
    let long = data.repeat(if *size < 0xf0 { 1 } else { 3 * LINE_MAX_BYTES / data.len().max(1) });
    let at_once = lines(std::iter::once(&*long));
    let in_pieces = lines(long.chunks(usize::from(size & 0x7f).max(1)));
    assert!(at_once == in_pieces, "the pieces of output make a difference");
    for line in &at_once {
        assert!(line.len() <= LINE_MAX_BYTES);
        check_harmless(line);
        assert_eq!(sanitise(line.as_bytes()), *line, "what is harmless is changed");
    }
}

/// Nothing but tabs, and escapes that are whole colours.
fn check_harmless(line: &str) {
    let mut rest = line;
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\t') {
        let body = rest[at..]
            .strip_prefix("\u{1b}[")
            .unwrap_or_else(|| panic!("a control character in {:?}", &rest[at..]));
        let end = body.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':').unwrap_or(body.len());
        rest = body[end..].strip_prefix('m').unwrap_or_else(|| panic!("half an escape in {:?}", &rest[at..]));
    }
}

/// A message that was understood is understood again, and the same.
pub fn protocol(data: &[u8]) {
    fn check<T: serde::Serialize + serde::de::DeserializeOwned>(data: &[u8]) {
        let Ok(message) = serde_json::from_slice::<T>(data) else { return };
        let written = serde_json::to_vec(&message).expect("messages are data");
        assert!(!written.contains(&b'\n'), "a message is one line");
        let again: T = serde_json::from_slice(&written).expect("what was written is read");
        assert_eq!(serde_json::to_vec(&again).expect("messages are data"), written);
    }
    check::<Request>(data);
    check::<Control>(data);
    check::<Answer>(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_harmless_in_any_pieces() {
        for size in [1, 2, 0x80, 0xf0, 0xff] {
            for text in [
                "plain\n10%\r50%\r\n\r\n",
                "\u{1b}[31mred\u{1b}[0m\u{1b}[2J\u{1b}]0;title\u{7}x\n",
                "\u{1b}(\u{e9} after\n\u{1b}\u{1b}[31m\u{9b}31m",
                "aaaa\u{1b}[38;5;200mé",
                "\u{1b}P\u{1b}",
            ] {
                output_lines(&[&[size], text.as_bytes()].concat());
            }
        }
        protocol(b"\"hello\"");
        protocol(br#"{"logs":{"group":"a","last":3}}"#);
        log_records(b"\x05\x021 web.1 hello\n2 web.1 \xff\n\n3 x\n4 worker.1 y");
    }
}
