// SPDX-License-Identifier: Apache-2.0
//! What is shown of hostile and of ordinary output.

use super::*;

fn lines(chunks: &[&[u8]]) -> Vec<String> {
    let mut splitter = Splitter::default();
    let mut out = Vec::new();
    for chunk in chunks {
        splitter.feed(chunk, &mut |line| out.push(line.to_owned()));
    }
    splitter.finish(&mut |line| out.push(line.to_owned()));
    out
}

#[test]
fn lines_are_joined_across_reads_and_the_last_needs_no_end() {
    assert_eq!(lines(&[b"one\ntw", b"o\r\n", b"\nthree"]), ["one", "two", "", "three"]);
}

#[test]
fn a_progress_line_is_collapsed_to_its_last_state() {
    assert_eq!(lines(&[b"10%\r50%\r", b"100%\ndone\r", b"\n"]), ["100%", "done"]);
}

#[test]
fn colours_stay_and_everything_else_goes() {
    let raw = b"\x1b[31mred\x1b[0m \x1b[2J\x1b[1;1H\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b[?25l\x1b(B\x1bcend\x08\x7f\ttab";
    assert_eq!(sanitise(raw), "\x1b[31mred\x1b[0m linkend\ttab");
    assert_eq!(sanitise("\x1b(é stays".as_bytes()), "é stays");
}

#[test]
fn unfinished_sequences_and_bad_bytes_harm_nothing() {
    for raw in [&b"\x1b"[..], b"\x1b[", b"\x1b[31", b"\x1b]0;never ends", b"\x1b(", b"\x1b[\x1b[m"] {
        let text = sanitise(raw);
        assert!(text.is_empty() || text == "\x1b[m", "{raw:?} gave {text:?}");
    }
    assert_eq!(sanitise(b"a\xffb\xc2\x9bc"), "a\u{fffd}bc");
}

#[test]
fn a_long_line_is_cut_and_memory_stays_bounded() {
    let mut splitter = Splitter::default();
    let mut out = Vec::new();
    for _ in 0..1000 {
        splitter.feed(&[b'x'; 4096], &mut |line| out.push(line.len()));
        assert!(splitter.raw.capacity() <= 2 * RAW_MAX_BYTES);
    }
    splitter.feed("é\n".as_bytes(), &mut |line| out.push(line.len()));
    assert_eq!(out.len(), 1);
    assert!(out[0] <= LINE_MAX_BYTES);
}
