// SPDX-License-Identifier: Apache-2.0
//! One table out of a dump. `pg_restore` writes it as a script, and `psql` reads that between what comes before and
//! after, in one transaction that is ended only when the dump came to its end and had the table.
//!
//! In place, its rows are replaced: foreign keys are taken away before and made again after, so that what points to
//! rows which were not there then keeps everything as it was. Beside, it is a plain table: columns and rows.

use super::{ADMIN, Postgres, script};
use hop3_core::addon::{WantedAddon, WantedTable};
use hop3_core::driver::Tables;
use hop3_core::name::TableName;
use hop3_core::{Kind, Problem};
use std::io::{self, PipeReader, Read};
use std::sync::mpsc::{Receiver, channel};

/// How what `pg_restore` writes of rows begins.
const ROWS: &[u8] = b"\nCOPY ";

/// Where the table that is there waits while the one of then has its name.
const ASIDE: &str = "hop3_aside";

/// A table by its schema and name.
struct Place {
    schema: String,
    name: String,
}

impl Place {
    fn of(table: &TableName, schema: &str) -> Place {
        let (own, name) = table.parts();
        Place { schema: own.unwrap_or_else(|| schema.to_owned()), name }
    }

    fn quoted(&self) -> String {
        format!("{}.{}", script::identifier(&self.schema), script::identifier(&self.name))
    }
}

impl Tables for Postgres {
    fn restore_table(
        &self,
        addon: &WantedAddon,
        table: &WantedTable,
        from: &mut dyn Read,
    ) -> Result<(), Problem> {
        let place = Place::of(&table.name, "public");
        let is_there = self.has_table(addon, &place)?;
        let (before, after, part): (String, String, &[&str]) = match &table.new_name {
            None if !is_there => return Err(no_such_table(addon, &table.name)),
            None => {
                (script::empty_table(&place.quoted()), script::end_table(&place.quoted()), &["--data-only"])
            }
            Some(new) => {
                let beside = Place::of(new, &place.schema);
                if self.has_table(addon, &beside)? {
                    return Err(exists(new));
                }
                let (before, after) = aside(&place, &beside, is_there);
                (before, after, &[])
            }
        };
        let (schema, name) = (format!("--schema={}", place.schema), format!("--table={}", place.name));
        let arguments = ["--no-owner", "--no-acl", "--file=-", &schema, &name];
        let arguments: Vec<&str> = arguments.into_iter().chain(part.iter().copied()).collect();
        let reads = self.reader(addon, &addon.database, "pg_restore", &arguments)?;
        let arguments = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null"];
        let writes = self.reader(addon, &addon.database, "psql", &arguments)?;
        let (reader, writer) = io::pipe().map_err(super::super::unreadable)?;
        let (sender, outcome) = channel();
        std::thread::scope(|scope| {
            let writing = scope.spawn(move || {
                let mut script = Script::new(&before, reader, outcome, after);
                let written = self.host.feed(&writes, &mut script);
                (written.map(drop), script.has_rows)
            });
            let read = self.host.convert(&reads, from, writer);
            // Nobody waits for it when the other one has failed.
            let _ = sender.send(read.is_ok());
            let (written, has_rows) = writing.join().expect("reading and writing do not panic");
            match (written, read) {
                (Err(problem), _) if problem.detail.contains("foreign key") => {
                    Err(is_needed(&table.name, problem.detail))
                }
                // Whoever writes ended first: what reads could not go on.
                (Err(problem), Ok(())) => Err(problem),
                (Err(problem), Err(_)) if problem.code == "addon.client-failed" => Err(problem),
                (_, Err(problem)) => Err(problem),
                (Ok(()), Ok(())) if !has_rows => Err(not_in_backup(&table.name)),
                (Ok(()), Ok(())) => Ok(()),
            }
        })
    }
}

impl Postgres {
    fn has_table(&self, addon: &WantedAddon, place: &Place) -> Result<bool, Problem> {
        let (schema, name) = (script::literal(&place.schema), script::literal(&place.name));
        let query = format!(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = {schema} AND c.relname = {name};"
        );
        // The database's name is plain; without it there would be nothing to look at.
        let database = if addon.database.is_empty() { ADMIN } else { &addon.database };
        Ok(self.psql(&addon.server, database, &query)?.trim() != "0")
    }
}

/// What makes the name free, and what gives both their names.
fn aside(place: &Place, beside: &Place, is_there: bool) -> (String, String) {
    let own = place.quoted();
    let mut before = script::begin();
    let mut after = String::new();
    let rename = |what: &str, to: &str| format!("ALTER TABLE {what} RENAME TO {};\n", script::identifier(to));
    if is_there {
        before += &rename(&own, ASIDE);
    }
    if place.name != beside.name {
        after += &rename(&own, &beside.name);
    }
    if place.schema != beside.schema {
        let renamed = Place { schema: place.schema.clone(), name: beside.name.clone() };
        let schema = script::identifier(&beside.schema);
        after += &format!("ALTER TABLE {} SET SCHEMA {schema};\n", renamed.quoted());
    }
    if is_there {
        let waiting = Place { schema: place.schema.clone(), name: ASIDE.to_owned() };
        after += &rename(&waiting.quoted(), &place.name);
    }
    (before, after + "COMMIT;\n")
}

/// What psql is given: the end only when all before it came whole and had rows of the table.
struct Script {
    before: io::Cursor<Vec<u8>>,
    rows: PipeReader,
    outcome: Receiver<bool>,
    after: io::Cursor<Vec<u8>>,
    /// The last bytes that were read.
    tail: Vec<u8>,
    has_rows: bool,
    is_ending: bool,
}

impl Script {
    fn new(before: &str, rows: PipeReader, outcome: Receiver<bool>, after: String) -> Script {
        Script {
            before: io::Cursor::new(before.as_bytes().to_vec()),
            rows,
            outcome,
            after: io::Cursor::new(after.into_bytes()),
            tail: Vec::new(),
            has_rows: false,
            is_ending: false,
        }
    }

    fn look(&mut self, read: &[u8]) {
        if self.has_rows {
            return;
        }
        self.tail.extend_from_slice(read);
        self.has_rows = self.tail.windows(ROWS.len()).any(|window| window == ROWS);
        let surplus = self.tail.len().saturating_sub(ROWS.len());
        self.tail.drain(..surplus);
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.before.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        if !self.is_ending {
            let count = self.rows.read(buffer)?;
            self.look(&buffer[..count]);
            if count > 0 {
                return Ok(count);
            }
            let is_whole = self.outcome.recv().unwrap_or(false);
            if !is_whole || !self.has_rows {
                // Without its end, nothing of the transaction is kept.
                self.after = io::Cursor::default();
            }
            self.is_ending = true;
        }
        self.after.read(buffer)
    }
}

fn no_such_table(addon: &WantedAddon, table: &TableName) -> Problem {
    let title = format!("{} has no table {table} whose rows could be replaced", addon.name);
    Problem::new(Kind::NotFound, "addon.no-table", title).hint(format!(
        "bring it as a new one, with its rows but without its keys: --table {table} --as {table}"
    ))
}

fn not_in_backup(table: &TableName) -> Problem {
    Problem::new(Kind::NotFound, "addon.no-table", format!("the backup has no table {table} with rows"))
        .detail("names are looked for in the schema public unless another one is named")
        .hint("bring the whole addon beside and look: hop3 backup restore BACKUP --addon NAME --as NEW")
}

fn exists(table: &TableName) -> Problem {
    Problem::new(Kind::Conflict, "addon.table-exists", format!("there is a table {table} already"))
        .hint("choose another name after --as")
}

fn is_needed(table: &TableName, detail: String) -> Problem {
    let title =
        format!("{table} as it was then does not fit what other tables hold now; nothing was changed");
    Problem::new(Kind::Conflict, "addon.table-needed", title)
        .detail(detail)
        .hint("bring it beside and choose the rows: --as NEW")
}
