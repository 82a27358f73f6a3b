// SPDX-License-Identifier: Apache-2.0
//! Turns bytes a process wrote into lines that are safe to show: valid UTF-8, at most 8 KiB, no control characters
//! but tab and SGR colours. Memory is bounded whatever comes: what does not fit in a line is dropped.

/// Longest line kept, in bytes.
pub(crate) const LINE_MAX_BYTES: usize = 8 * 1024;

/// Raw bytes kept of an unfinished line; more than a line, since escape sequences are taken out later.
const RAW_MAX_BYTES: usize = 2 * LINE_MAX_BYTES;

/// Collects bytes until a line is complete.
#[derive(Default)]
pub(crate) struct Splitter {
    raw: Vec<u8>,
    /// A carriage return was last: the next byte says whether it ends the line or begins it anew.
    returned: bool,
}

impl Splitter {
    /// Gives every line that `bytes` complete to `line`.
    pub(crate) fn feed(&mut self, bytes: &[u8], line: &mut dyn FnMut(&str)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            self.keep(&rest[..end]);
            if rest[end] == b'\n' {
                self.flush(line);
            } else {
                self.returned = true;
            }
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    /// Gives what is left when nothing more can come.
    pub(crate) fn finish(&mut self, line: &mut dyn FnMut(&str)) {
        if !self.raw.is_empty() {
            self.flush(line);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // A progress line is drawn over and over: only its last state is worth a record.
        if std::mem::take(&mut self.returned) {
            self.raw.clear();
        }
        let room = RAW_MAX_BYTES - self.raw.len();
        self.raw.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn flush(&mut self, line: &mut dyn FnMut(&str)) {
        self.returned = false;
        line(&sanitise(&self.raw));
        // Instances are many and mostly quiet: an idle one keeps no buffer.
        self.raw = Vec::new();
    }
}

/// Makes one line safe to show.
pub(crate) fn sanitise(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut out = String::with_capacity(text.len().min(LINE_MAX_BYTES));
    let mut rest = text.as_ref();
    while let Some(c) = rest.chars().next() {
        if c == '\u{1b}' {
            let (shown, after) = escape(rest);
            out.push_str(shown);
            rest = after;
        } else {
            if c == '\t' || !c.is_control() {
                out.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
        if out.len() > LINE_MAX_BYTES {
            return cut(out);
        }
    }
    out
}

fn cut(mut out: String) -> String {
    const MARK: &str = " … (cut)";
    let mut end = LINE_MAX_BYTES - MARK.len();
    while !out.is_char_boundary(end) {
        end -= 1;
    }
    out.truncate(end);
    // Half a colour would take what follows for its other half.
    if let Some(escape) = out.rfind('\u{1b}').filter(|at| !out[*at..].contains('m')) {
        out.truncate(escape);
    }
    out.push_str(MARK);
    out
}

/// Takes one escape sequence (ECMA-48) off the front: what of it is shown, and what follows it.
fn escape(text: &str) -> (&str, &str) {
    let body = &text[1..];
    match body.chars().next() {
        Some('[') => control_sequence(text),
        // Strings (OSC and its kin: titles, links, clipboards) end with BEL or ST.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let end = body
                .find(['\u{7}', '\u{9c}'])
                .map(|i| (i, body[i..].chars().next().map_or(1, char::len_utf8)));
            let terminator = body.find("\u{1b}\\").map(|i| (i, 2));
            match end.into_iter().chain(terminator).min() {
                Some((at, length)) => ("", &body[at + length..]),
                None => ("", ""),
            }
        }
        // Designations of character sets have one more byte.
        Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => {
            let rest = &body[1..];
            ("", rest.strip_prefix(|c: char| c.is_ascii_graphic()).unwrap_or(rest))
        }
        Some(c) => ("", &body[c.len_utf8()..]),
        None => ("", ""),
    }
}

fn control_sequence(text: &str) -> (&str, &str) {
    let is_final = |c: char| ('\u{40}'..='\u{7e}').contains(&c);
    let Some(end) = text[2..].find(|c: char| is_final(c) || c.is_control()).map(|i| i + 2) else {
        return ("", "");
    };
    if !text[end..].starts_with(is_final) {
        return ("", &text[end..]);
    }
    let (sequence, after) = text.split_at(end + 1);
    let is_colour = sequence.ends_with('m')
        && sequence[2..end].chars().all(|c| c.is_ascii_digit() || matches!(c, ';' | ':'));
    (if is_colour { sequence } else { "" }, after)
}

#[cfg(test)]
mod tests;
