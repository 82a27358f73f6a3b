// SPDX-License-Identifier: Apache-2.0
//! `Addon`: a kind of managed backing service. Drivers hold no state: all they are told is in the arguments, all they
//! have made is on the server and beneath its directory.
//!
//! Calls on one server never overlap, but for `backup` and `status`, which may run beside anything.

use crate::addon::{AddonServer, AddonStatus, Binding, Held, KindFacts, WantedAddon, WantedTable};
use crate::problem::{Kind, Problem};
use std::io::{Read, Write};

pub trait Addon: Send + Sync {
    /// What the kind is, and which versions this machine has now.
    fn facts(&self) -> KindFacts;

    /// Sets the server up when it is new, keeps it running, and returns once it answers. Its data are never touched.
    ///
    /// # Errors
    /// `addon.not-installed`, naming what to install; `addon.not-started` with the server's last lines.
    fn serve(&self, server: &AddonServer) -> Result<(), Problem>;

    /// Makes the addon what it should be on its running server: it is there, and exactly its credentials may come in.
    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem>;

    /// Looks, changes nothing. A server that is away is a status, not a problem.
    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem>;

    /// Writes everything the addon holds in a form that `restore` of the same or a newer version reads: as of one
    /// moment from now on, or of a past one (Unix milliseconds) where the kind remembers.
    ///
    /// # Errors
    /// `addon.no-history` for a moment that is not remembered; `addon.holds-nothing` where there is nothing to write.
    fn backup(&self, addon: &WantedAddon, as_of_ms: Option<u64>, to: &mut dyn Write) -> Result<(), Problem> {
        let _ = (addon, as_of_ms, to);
        Err(holds_nothing(&self.facts()))
    }

    /// Replaces everything the addon holds by what was written. When it fails the addon holds what it held, or is empty.
    fn restore(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        let _ = (addon, from);
        Err(holds_nothing(&self.facts()))
    }

    /// Removes the addon and its users from its server. Absent is fine.
    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem>;

    /// Stops the server and removes all it has. Absent is fine.
    fn retire(&self, server: &AddonServer) -> Result<(), Problem>;

    /// What counts the things of this kind; nothing when they are not known.
    fn counts(&self) -> Option<&dyn Counts> {
        None
    }

    /// What reads one table out of what was written; nothing where there are none.
    fn tables(&self) -> Option<&dyn Tables> {
        None
    }
}

/// Of a kind whose addons hold nothing that could be carried away.
pub fn holds_nothing(facts: &KindFacts) -> Problem {
    let title = format!("{} keeps nothing that could be carried away", facts.title);
    Problem::new(Kind::User, "addon.holds-nothing", title)
}

/// Reads one table out of what `backup` wrote.
pub trait Tables {
    /// Replaces its rows, or makes it beside. Nothing else changes, and when it fails nothing at all.
    ///
    /// # Errors
    /// `addon.no-table` where what was written, or the addon, has no such table.
    fn restore_table(
        &self,
        addon: &WantedAddon,
        table: &WantedTable,
        from: &mut dyn Read,
    ) -> Result<(), Problem>;
}

/// Counts what an addon holds, so that a backup can be compared with what becomes of it.
pub trait Counts {
    /// Does what `backup` does, as of one moment from now on, and counts what is held at that very moment. Nothing when
    /// that cannot be known of this one.
    fn backup_counted(&self, addon: &WantedAddon, to: &mut dyn Write) -> Result<Option<Held>, Problem>;

    /// Counts what it holds now; nothing when that cannot be known.
    fn count(&self, addon: &WantedAddon) -> Result<Option<Held>, Problem>;
}
