// SPDX-License-Identifier: Apache-2.0
//! `Lines`: header lines on their way from a parsed head to one that is written, neighbours in one copy.
//!
//! Invariant: a line is copied only where it lies in the input byte for byte as it would be written: its name, a colon
//! and a blank, its value, CR LF. Any other is written anew from its parts.

use super::header::push_line;
use httparse::Header;
use std::ops::Range;

pub(crate) struct Lines<'b> {
    input: &'b [u8],
    /// What is to be copied next.
    run: Range<usize>,
}

impl<'b> Lines<'b> {
    /// Of a head that was parsed from the beginning of `input`.
    pub(crate) fn of(input: &'b [u8]) -> Lines<'b> {
        Lines { input, run: 0..0 }
    }

    /// Appends a line of the head. Tells where its value will lie; nothing else may be appended before `flush`.
    pub(crate) fn push(&mut self, header: &Header, out: &mut Vec<u8>) -> Range<usize> {
        match self.find(header) {
            Some(line) if line.start == self.run.end => self.run.end = line.end,
            Some(line) => {
                self.flush(out);
                self.run = line;
            }
            None => {
                self.flush(out);
                push_line(out, header.name, header.value);
            }
        }
        let end = out.len() + self.run.len() - 2;
        end - header.value.len()..end
    }

    /// Appends what is still to be copied.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.input[self.run.clone()]);
        self.run.start = self.run.end;
    }

    /// Where in the input a line lies that needs no change.
    fn find(&self, header: &Header) -> Option<Range<usize>> {
        let start = header.name.as_ptr().addr().checked_sub(self.input.as_ptr().addr())?;
        let value = start + header.name.len() + 2;
        let end = value + header.value.len();
        let is_there = header.value.as_ptr().addr() == self.input.as_ptr().addr() + value
            && self.input.get(value - 2..value) == Some(b": ")
            && self.input.get(end..end + 2) == Some(b"\r\n");
        is_there.then_some(start..end + 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines but those named `drop`, copied and written anew.
    fn both(head: &str) -> (String, String) {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(head.as_bytes()).unwrap();
        let (mut lines, mut copied, mut written) = (Lines::of(head.as_bytes()), Vec::new(), Vec::new());
        for header in request.headers.iter().filter(|header| header.name != "drop") {
            let value = lines.push(header, &mut copied);
            push_line(&mut written, header.name, header.value);
            assert_eq!(value, written.len() - 2 - header.value.len()..written.len() - 2);
        }
        lines.flush(&mut copied);
        (String::from_utf8(copied).unwrap(), String::from_utf8(written).unwrap())
    }

    #[test]
    fn what_is_copied_is_what_would_have_been_written() {
        for lines in [
            "",
            "a: 1\r\n",
            "a: 1\r\nb: 2\r\nc: 3\r\n",
            "drop: 1\r\na: 1\r\ndrop: 2\r\nb: 2\r\nc: 3\r\ndrop: 3\r\n",
            "a:1\r\nb: 2\r\nc:  3\r\nd: 4 \r\ne:\t5\r\nf: 6\r\n",
            "a:\r\nb: \r\nc:   \r\nd: 4\r\n",
            "a: 1\nb: 2\r\nc: 3\n",
        ] {
            let (copied, written) = both(&format!("GET / HTTP/1.1\r\n{lines}\r\n"));
            assert_eq!(copied, written, "{lines:?}");
        }
    }

    #[test]
    fn neighbours_wait_for_one_copy() {
        let mut headers = [httparse::EMPTY_HEADER; 4];
        let head = b"GET / HTTP/1.1\r\na: 1\r\nb: 2\r\n\r\n";
        let mut request = httparse::Request::new(&mut headers);
        request.parse(head).unwrap();
        let (mut lines, mut out) = (Lines::of(head), Vec::new());
        for header in &*request.headers {
            lines.push(header, &mut out);
        }
        assert_eq!((out.len(), lines.run.len()), (0, 12));
    }

    #[test]
    fn a_line_of_another_head_is_written_anew() {
        let elsewhere = *b"GET / HTTP/1.1\r\na: 1\r\n\r\n";
        let mut headers = [httparse::EMPTY_HEADER; 4];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(&elsewhere).unwrap();
        let (mut lines, mut out) = (Lines::of(b"GET / HTTP/1.1\r\nb: 2\r\n\r\n"), Vec::new());
        lines.push(&request.headers[0], &mut out);
        assert_eq!(out, b"a: 1\r\n");
    }
}
