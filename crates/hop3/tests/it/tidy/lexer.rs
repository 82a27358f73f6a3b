// SPDX-License-Identifier: Apache-2.0
//! Splits Rust into code, comments and strings, so that a word in a sentence is not taken for an identifier.

/// A stretch of Rust text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Code(&'a str),
    Comment(&'a str),
    Text(&'a str),
}

/// Splits a source; good enough for rustfmt's output, not for every Rust program.
pub(crate) fn pieces(source: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < source.len() {
        let Some((piece, length)) = special(&source[at..]) else {
            at += source[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        pieces.push(Piece::Code(&source[start..at]));
        pieces.push(piece);
        at += length;
        start = at;
    }
    pieces.push(Piece::Code(&source[start..]));
    pieces
}

/// A comment, string or character at the very start, and its length.
fn special(rest: &str) -> Option<(Piece<'_>, usize)> {
    if rest.starts_with("//") {
        let end = rest.find('\n').unwrap_or(rest.len());
        return Some((Piece::Comment(&rest[..end]), end));
    }
    if let Some(after) = rest.strip_prefix('\'') {
        // A lifetime has no closing quote after one character.
        let mut chars = after.chars();
        let first = chars.next()?;
        let length = match first {
            '\\' => after.char_indices().skip(2).find(|(_, c)| *c == '\'').map(|(i, _)| i)?,
            _ if chars.next() == Some('\'') => first.len_utf8(),
            _ => return None,
        };
        return Some((Piece::Text(&after[..length]), length + 2));
    }
    if let Some(after) = rest.strip_prefix('"') {
        let mut escaped = false;
        for (i, c) in after.char_indices() {
            match c {
                '"' if !escaped => return Some((Piece::Text(&after[..i]), i + 2)),
                _ => escaped = c == '\\' && !escaped,
            }
        }
    }
    raw(rest)
}

fn raw(rest: &str) -> Option<(Piece<'_>, usize)> {
    let after = rest.strip_prefix("r#")?;
    let fence = 1 + after.len() - after.trim_start_matches('#').len();
    let body = after[fence - 1..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(fence));
    let end = body.find(&close)?;
    Some((Piece::Text(&body[..end]), 1 + fence + 1 + end + close.len()))
}

#[test]
fn the_split_knows_strings_comments_and_lifetimes() {
    let source = "a(\"s\\\"1\") // c \"x\"\nfn f<'a>(c: char) { c == '\"'; r#\"q\"uote\"# }";
    let found: Vec<_> = pieces(source).into_iter().filter(|p| !matches!(p, Piece::Code(_))).collect();
    let expected =
        [Piece::Text("s\\\"1"), Piece::Comment("// c \"x\""), Piece::Text("\""), Piece::Text("q\"uote")];
    assert_eq!(found, expected);
}
