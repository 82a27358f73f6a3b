// SPDX-License-Identifier: Apache-2.0
//! Users of what is no app. They come from the sequence that the ids of apps come from, so that no app ever has one.

use super::Store;
use anyhow::Result;
use std::ops::Range;

impl Store {
    /// Some in a row that nobody has and nobody will be given.
    pub fn next_uids(&self, count: u32) -> Result<Range<u32>> {
        let sql = "UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = 'app' RETURNING seq";
        let last: u32 = self.db().query_row(sql, [count], |row| row.get(0))?;
        Ok(last + 1 - count..last + 1)
    }

    /// A user that nobody has and nobody will be given.
    pub fn next_uid(&self) -> Result<u32> {
        let sql = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'app' RETURNING seq";
        Ok(self.db().query_row(sql, [], |row| row.get(0))?)
    }
}
