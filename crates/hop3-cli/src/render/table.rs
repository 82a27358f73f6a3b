// SPDX-License-Identifier: Apache-2.0
//! Plain tables: a head, aligned columns, two spaces between, no lines and no trailing blanks.

use super::style::{Style, Tone, clean};

/// Rows of text.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Table {
        Table { rows: vec![head.iter().map(|h| (*h).to_owned()).collect()] }
    }

    /// Rows without a head: `KEY  value`.
    pub(crate) fn headless() -> Table {
        Table { rows: vec![Vec::new()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|c| clean(c)).collect());
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
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line += &format!("{cell:width$}  ");
            }
            let line = line.trim_end();
            let line = if number == 0 { style.paint(Tone::Faint, line) } else { line.to_owned() };
            out += &line;
            out.push('\n');
        }
        out
    }
}
