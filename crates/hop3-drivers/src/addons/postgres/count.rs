// SPDX-License-Identifier: Apache-2.0
//! How many rows each table has. For a backup they are counted in a transaction whose snapshot the dump takes over, so
//! that both are of one moment, whatever is written meanwhile.
//!
//! The administrator counts, as he dumps, since policies may hide rows from everybody else. Nothing of an app's runs in
//! his name: names are looked up among the product's own first, whatever the database's owner has set, and where a table
//! has become a view meanwhile, the server refuses to read it. A server that is too old to refuse counts nothing.

use super::{PLAIN, Postgres};
use hop3_core::addon::{Held, HeldUnit, WantedAddon};
use hop3_core::driver::Counts;
use hop3_core::sandbox::Job;
use hop3_core::{Kind, Problem};
use std::io::Write;

const EXPORT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\nSELECT pg_export_snapshot();\n";

/// Rows of tables that are dumped: not those of extensions, which bring their own, and of partitions, not of the whole
/// that they are parts of. Names in hexadecimal digits, since they may be anything.
const COUNT: &str = r"SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SELECT set_config(name, 'view, foreign-table', false) IS NOT NULL
    FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind';
SELECT format('SELECT %L, count(*) FROM ONLY %I.%I',
        encode(convert_to(CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END, 'UTF8'), 'hex'),
        n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND n.nspname NOT LIKE 'pg\_%'
        AND EXISTS (SELECT FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.deptype = 'e') \gexec
";

impl Counts for Postgres {
    fn backup_counted(&self, addon: &WantedAddon, to: &mut dyn Write) -> Result<Option<Held>, Problem> {
        let job = self.counter(addon)?;
        let input = [EXPORT, COUNT].concat();
        let answer = self.host.beside(&job, &input, |snapshot| self.dump_at(addon, snapshot, to))?;
        held(&answer)
    }

    fn count(&self, addon: &WantedAddon) -> Result<Option<Held>, Problem> {
        held(&self.host.ask(&self.counter(addon)?, COUNT)?)
    }
}

impl Postgres {
    fn counter(&self, addon: &WantedAddon) -> Result<Job, Problem> {
        let arguments = ["-d", addon.database.as_str()];
        self.client(&addon.server, "psql", &[&PLAIN[..], &arguments].concat())
    }
}

/// A line that says whether it could be counted safely, then one for each table.
fn held(answer: &str) -> Result<Option<Held>, Problem> {
    let mut lines = answer.lines();
    if lines.next() != Some("t") {
        return Ok(None);
    }
    let part = |line: &str| {
        let (name, count) = line.split_once('|')?;
        Some((super::super::unhex(name)?, count.parse().ok()?))
    };
    let parts = lines.map(part).collect::<Option<_>>().ok_or_else(|| {
        Problem::new(Kind::Unavailable, "addon.client-failed", "psql printed what is no count of rows")
    })?;
    Ok(Some(Held { unit: HeldUnit::Rows, parts }))
}
