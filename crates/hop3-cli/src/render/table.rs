// SPDX-License-Identifier: Apache-2.0
//! Plain tables: a head, aligned columns, two spaces between, no lines and no trailing blanks.

use super::style::{Style, Tone, clean};

/// Rows of text.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

/// `clean`, without a copy of what is clean.
fn cleaned(cell: String) -> String {
    if cell.bytes().all(|byte| matches!(byte, b' '..=b'~')) { cell } else { clean(&cell) }
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Table {
        Table { rows: vec![head.iter().map(|h| (*h).to_owned()).collect()] }
    }

    /// The same with a head that came from outside.
    pub(crate) fn of(head: Vec<String>) -> Table {
        Table { rows: vec![head.into_iter().map(cleaned).collect()] }
    }

    pub(crate) fn row_of(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(cleaned).collect());
    }

    /// Rows without a head: `KEY  value`.
    pub(crate) fn headless() -> Table {
        Table { rows: vec![Vec::new()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(cleaned).into());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    pub(crate) fn render(&self, style: Style) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|i| self.rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for (number, row) in self.rows.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
            let start = out.len();
            for (cell, width) in row.iter().zip(&widths) {
                out += cell;
                let blanks = width.saturating_sub(cell.chars().count()) + 2;
                out.extend(std::iter::repeat_n(' ', blanks));
            }
            out.truncate(start + out[start..].trim_end().len());
            if number == 0 {
                let head = style.paint(Tone::Faint, &out[start..]);
                out.replace_range(start.., &head);
            }
            out.push('\n');
        }
        out
    }
}
