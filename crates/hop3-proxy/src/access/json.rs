// SPDX-License-Identifier: Apache-2.0
//! Fields of a JSON object, appended to bytes: what a log line needs of JSON and no more.
//!
//! Invariant: whatever bytes a client sent, the line stays one line and one valid object.
//!
//! A log line is two dozen small pieces. Where the compiler knows how long one is, it is a store or two rather than a
//! call that copies: so the names of fields are appended in line.

/// The name of a field that is not the first, ready to be appended.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(crate) use key;

/// Begins an object with the time.
#[inline]
pub(crate) fn begin(out: &mut Vec<u8>, time: &[u8]) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(time);
    out.push(b'"');
}

/// A text of the proxy's own, which needs no escape.
#[inline]
pub(crate) fn plain(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(key.as_bytes());
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

/// A text that somebody sent, at most `limit` bytes of it.
#[inline]
pub(crate) fn text(out: &mut Vec<u8>, key: &str, value: &[u8], limit: usize) {
    out.extend_from_slice(key.as_bytes());
    string(out, value, limit);
}

fn string(out: &mut Vec<u8>, value: &[u8], limit: usize) {
    out.push(b'"');
    let cut = &value[..value.len().min(limit)];
    // All of it, so that the compiler can look at many bytes at once.
    if cut.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        out.extend_from_slice(cut);
    } else {
        escape(out, cut);
    }
    if cut.len() < value.len() {
        out.extend_from_slice("…".as_bytes());
    }
    out.push(b'"');
}

fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// UTF-8 stays; a byte that is none is taken for Latin-1, as headers were before.
fn escape(out: &mut Vec<u8>, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
                c if c.is_control() => escape_byte(out, c as u32),
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        chunk.invalid().iter().for_each(|byte| escape_byte(out, u32::from(*byte)));
    }
}

fn escape_byte(out: &mut Vec<u8>, code: u32) {
    out.extend_from_slice(format!("\\u{code:04x}").as_bytes());
}

#[inline]
pub(super) fn number(out: &mut Vec<u8>, key: &str, value: u64) {
    out.extend_from_slice(key.as_bytes());
    digits(out, value);
}

/// Milliseconds with three places.
#[inline]
pub(super) fn millis(out: &mut Vec<u8>, key: &str, us: u64) {
    out.extend_from_slice(key.as_bytes());
    digits(out, us / 1000);
    let rest = us % 1000;
    let [hundreds, tens, ones] = [100, 10, 1].map(|place| b'0' + (rest / place % 10) as u8);
    out.extend_from_slice(&[b'.', hundreds, tens, ones]);
}

pub(super) fn digits(out: &mut Vec<u8>, mut value: u64) {
    let count = value.checked_ilog10().map_or(1, |log| log as usize + 1);
    let mut room = [0_u8; 20];
    for digit in room[..count].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    let end = out.len() + count;
    out.extend_from_slice(&room);
    out.truncate(end);
}

pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: &[u8]) -> serde_json::Value {
        let mut out = Vec::new();
        begin(&mut out, b"now");
        text(&mut out, key!("a"), value, 64);
        number(&mut out, key!("n"), u64::MAX);
        millis(&mut out, key!("ms"), 12_007);
        end(&mut out);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn every_byte_keeps_the_line_one_object() {
        for byte in 0..=255_u8 {
            let said = line(&[b'x', byte, b'y']);
            assert_eq!(said["a"].as_str().unwrap().chars().count(), 3, "{byte}");
        }
        assert_eq!(line("é\"\\\n".as_bytes())["a"], "é\"\\\n");
        assert_eq!(line(&[b'a'; 100])["a"].as_str().unwrap().chars().count(), 65);
    }

    #[test]
    fn numbers_are_exact() {
        let said = line(b"");
        assert_eq!((said["n"].as_u64(), said["ms"].as_f64()), (Some(u64::MAX), Some(12.007)));
    }
}
