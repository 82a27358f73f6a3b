// SPDX-License-Identifier: Apache-2.0
//! What a stranger wrote, shown harmlessly on a terminal: control and direction characters escaped, long text cut.

const MAX_SHOWN: usize = 100;

pub(super) fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(MAX_SHOWN) {
        match c {
            '\'' | '"' | '\\' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(MAX_SHOWN).is_some() {
        out.push('…');
    }
    out
}
