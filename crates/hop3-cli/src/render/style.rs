// SPDX-License-Identifier: Apache-2.0
//! Colour where it is wanted, and protection of the terminal from what programs print.

/// What the reader's screen can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours.
    pub colour: bool,
    /// A line may be drawn again in place: running steps are shown.
    pub live: bool,
}

impl Style {
    /// For files, pipes and the git client.
    pub const PLAIN: Style = Style { colour: false, live: false };

    /// For a stream: everything on a terminal, colour only where NO_COLOR and TERM allow it.
    pub(crate) fn of(is_terminal: bool) -> Style {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb");
        Style { colour: is_terminal && !unwanted && !dumb, live: is_terminal && !dumb }
    }

    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{}m{text}\x1b[0m", tone.code())
    }
}

/// Why something is coloured.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warning,
    Faint,
    Strong,
    /// One of six colours that tell sources apart.
    Source(u8),
}

impl Tone {
    fn code(self) -> u8 {
        match self {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Warning => 33,
            Tone::Faint => 2,
            Tone::Strong => 1,
            Tone::Source(n) => [36, 35, 34, 32, 33, 96][usize::from(n % 6)],
        }
    }
}

/// One line without anything that moves the cursor, recolours, retitles or reorders the screen.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_escape(&mut chars),
            '\t' => out.push(c),
            c if c.is_control() || reorders(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// `clean`, line by line.
pub(crate) fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(clean).collect();
    lines.join("\n")
}

/// Skips an escape sequence after its ESC (ECMA-48): parameters and final byte, or a string up to its terminator.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => {
            chars.find(|c| ('\x40'..='\x7e').contains(c));
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.find(|c| matches!(c, '\x07' | '\x1b' | '\u{9c}'));
            // ESC \ ends the string; the backslash belongs to it.
            if chars.as_str().starts_with('\\') {
                chars.next();
            }
        }
        _ => {}
    }
}

/// Direction overrides, isolates and invisible joiners can make a line read as another (UAX 9).
fn reorders(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
