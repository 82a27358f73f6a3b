// SPDX-License-Identifier: Apache-2.0
//! Users of what is no app. They come from the sequence that the ids of apps come from, so that no app ever has one.

use super::Store;
use anyhow::Result;

impl Store {
    /// A user that nobody has and nobody will be given.
    pub fn next_uid(&self) -> Result<u32> {
        let sql = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'app' RETURNING seq";
        Ok(self.db().query_row(sql, [], |row| row.get(0))?)
    }
}
