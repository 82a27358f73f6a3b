// SPDX-License-Identifier: Apache-2.0
//! Addons in backups: each gives a stream of itself when it is saved, and takes it back.
//!
//! A stream whose source failed must not look like one that came to its end: `Checked` ends with the source's error.

use super::manifest::{SavedApp, SavedBinding, Stream};
use super::{progress, say};
use crate::server::{Server, internal};
use crate::store::{Addon, App};
use crate::verb;
use hop3_core::addon::{Held, WantedTable};
use hop3_core::api::{CreateAddonRequest, DestroyAddonRequest};
use hop3_core::backup::Tell;
use hop3_core::driver::{BackupPlace, Content, Save};
use hop3_core::name::{AddonKind, AddonName};
use hop3_core::problem::Problem;
use std::collections::BTreeMap;
use std::io::{self, PipeReader, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// The way between the server and its repository.
pub(super) struct Way<'a> {
    pub server: &'a Arc<Server>,
    pub place: &'a BackupPlace,
    pub tell: Tell<'a>,
}

/// All that were not destroyed.
pub(super) fn all(server: &Server) -> Result<Vec<Addon>, Problem> {
    Ok(verb::addon::all(server)?.into_iter().filter(|addon| addon.destroyed_ms.is_none()).collect())
}

/// Those that an app is bound to.
pub(super) fn bound(server: &Server, app: &App) -> Result<Vec<Addon>, Problem> {
    let bindings = server.store.bindings(app).map_err(internal)?;
    let is_bound = |addon: &Addon| bindings.iter().any(|bound| bound.addon == addon.id);
    Ok(all(server)?.into_iter().filter(is_bound).collect())
}

/// One whose kind holds something.
pub(super) fn savable(server: &Server, name: &AddonName) -> Result<Addon, Problem> {
    let addon = verb::addon::find(server, name)?;
    let home = &addon.wanted.server;
    verb::addon::check_holds(&verb::addon::driver(server, &home.kind)?.facts(), &home.version)?;
    Ok(addon)
}

pub(super) fn bindings(server: &Server, app: &App) -> anyhow::Result<Vec<SavedBinding>> {
    let mut saved = Vec::new();
    for bound in server.store.bindings(app)? {
        let Some(addon) = server.store.addon_of(bound.addon)? else { continue };
        let (prefix, slot, is_primary) = (bound.prefix, bound.slot, bound.is_primary);
        saved.push(SavedBinding { addon: addon.wanted.name, prefix, slot, is_primary });
    }
    Ok(saved)
}

/// The option of kinds that pass on what they are given, by which they keep it.
const KEEPS: &str = "inbox";

fn file(name: &AddonName) -> String {
    format!("addon-{name}")
}

impl Way<'_> {
    /// Saves what an addon holds; nothing when its kind holds nothing.
    pub(super) fn save(&self, addon: &Addon, tags: &[String]) -> Result<Option<Stream>, Problem> {
        let wanted = &addon.wanted;
        let driver = verb::addon::driver(self.server, &wanted.server.kind)?;
        if !driver.facts().can(&wanted.server.version).backs_up {
            return Ok(None);
        }
        say(self.tell, format!("saving the addon {}", wanted.name));
        let file = file(&wanted.name);
        let mut held = None;
        let saved = through(
            |to| match driver.counts() {
                Some(counts) => counts.backup_counted(wanted, to).map(|counted| held = counted),
                None => driver.backup(wanted, None, to),
            },
            |from| {
                let content = Content::Stream { name: &file, from };
                let save = Save { tags, content, exclude: &[], parent: None };
                self.server.drivers.backups.save(self.place, save, &mut progress(self.tell))
            },
        )?;
        Ok(Some(Stream {
            name: wanted.name.clone(),
            kind: wanted.server.kind.clone(),
            version: wanted.server.version.clone(),
            shared: addon.is_shared,
            settings: wanted.settings.clone(),
            snapshot: saved.snapshot,
            bytes: saved.bytes,
            held,
        }))
    }

    /// Puts back what an addon held.
    pub(super) fn restore(&self, stream: &Stream, into: &AddonName) -> Result<(), Problem> {
        say(self.tell, format!("restoring the addon {into}"));
        self.bring(stream, into, None)
    }

    /// Puts back one of its tables.
    pub(super) fn restore_table(&self, stream: &Stream, table: &WantedTable) -> Result<(), Problem> {
        verb::addon::tables(verb::addon::driver(self.server, &stream.kind)?.as_ref())?;
        say(self.tell, format!("restoring the table {} of {}", table.name, stream.name));
        self.bring(stream, &stream.name, Some(table))
    }

    fn bring(&self, stream: &Stream, into: &AddonName, table: Option<&WantedTable>) -> Result<(), Problem> {
        let file = file(&stream.name);
        through(
            |to| self.server.drivers.backups.dump(self.place, &stream.snapshot, Path::new(&file), to),
            |from| verb::addon::import(self.server, into, table, from),
        )
    }

    /// Makes an addon like the saved one.
    pub(super) fn create(&self, stream: &Stream, name: &AddonName) -> Result<(), Problem> {
        let kind = (&stream.kind, stream.version.as_str());
        self.make(name, kind, (stream.shared, stream.settings.clone()))
    }

    /// Makes an addon for a proof: it keeps to itself whatever the saved one passes on.
    pub(super) fn create_scratch(&self, stream: &Stream, name: &AddonName) -> Result<(), Problem> {
        let mut settings = stream.settings.clone();
        let driver = verb::addon::driver(self.server, &stream.kind)?;
        if driver.facts().options.contains_key(KEEPS) {
            settings.insert(KEEPS.to_owned(), "yes".to_owned());
        }
        self.make(name, (&stream.kind, &stream.version), (stream.shared, settings))
    }

    fn make(
        &self,
        name: &AddonName,
        (kind, version): (&AddonKind, &str),
        (is_shared, options): (bool, BTreeMap<String, String>),
    ) -> Result<(), Problem> {
        let facts = verb::addon::driver(self.server, kind)?.facts();
        // The newest that is here reads what an older one wrote.
        let version = facts.versions.iter().find(|one| *one == version).cloned();
        let request = CreateAddonRequest {
            name: name.clone(),
            kind: kind.clone(),
            version,
            dedicated: !is_shared,
            options,
            secret: None,
        };
        verb::addon::create(self.server, &request).map(drop)
    }

    /// What an addon that was restored holds, where its kind counts.
    pub(super) fn count(&self, name: &AddonName) -> Result<Option<Held>, Problem> {
        let addon = verb::addon::find(self.server, name)?;
        let driver = verb::addon::driver(self.server, &addon.wanted.server.kind)?;
        driver.counts().map_or(Ok(None), |counts| counts.count(&addon.wanted))
    }

    /// Brings an addon back on a server that was rebuilt: the store knows it, its data are gone.
    pub(super) fn revive(&self, stream: &Stream) -> Result<(), Problem> {
        let addon = verb::addon::find(self.server, &stream.name)?;
        let home = addon.wanted.server.name.clone();
        self.server.addon_turn(&home, || {
            let driver = verb::addon::driver(self.server, &stream.kind)?;
            driver.serve(&addon.wanted.server)?;
            driver.provision(&addon.wanted).map(drop)
        })?;
        self.restore(stream, &stream.name)
    }

    pub(super) fn destroy(&self, name: &AddonName) -> Result<(), Problem> {
        let request = DestroyAddonRequest { confirm: name.to_string(), now: true };
        verb::addon::destroy(self.server, name, &request)
    }

    /// Brings back what the app was bound to: into the addons of those names, or into new ones. Gives those that are
    /// new.
    pub(super) fn restore_all(
        &self,
        saved: &SavedApp,
        app: &App,
        streams: &[Stream],
    ) -> Result<Vec<AddonName>, Problem> {
        let mut made = Vec::new();
        for binding in &saved.bindings {
            let name = name_for(saved, app, &binding.addon)?;
            let Some(stream) = streams.iter().find(|stream| stream.name == binding.addon) else {
                // It holds nothing that could be brought back; if it is there, the app knows it again.
                if self.server.store.addon(&name).map_err(internal)?.is_some() {
                    self.bind(app, &name, binding)?;
                }
                continue;
            };
            let is_new = self.server.store.addon(&name).map_err(internal)?.is_none();
            if is_new {
                self.create(stream, &name)?;
                made.push(name.clone());
            }
            let done = self.restore(stream, &name).and_then(|()| self.bind(app, &name, binding));
            if let Err(problem) = done {
                self.take_back(app, &made)?;
                return Err(problem);
            }
        }
        Ok(made)
    }

    /// Destroys addons that were made for a restore that failed.
    pub(super) fn take_back(&self, app: &App, made: &[AddonName]) -> Result<(), Problem> {
        for name in made {
            let addon = verb::addon::find(self.server, name)?;
            self.server.store.unbind(app, addon.id).map_err(internal)?;
            self.destroy(name)?;
        }
        Ok(())
    }

    pub(super) fn bind(&self, app: &App, name: &AddonName, binding: &SavedBinding) -> Result<(), Problem> {
        let (store, addon) = (&self.server.store, verb::addon::find(self.server, name)?);
        store.bind(app, addon.id, &binding.prefix, &binding.slot).map_err(internal)?;
        if binding.is_primary {
            store.promote(app, addon.id).map_err(internal)?;
        }
        Ok(())
    }
}

/// The name that a saved addon has for the app that is restored: its own, or one beside it for a copy.
pub(super) fn name_for(saved: &SavedApp, app: &App, addon: &AddonName) -> Result<AddonName, Problem> {
    match app.name == saved.name {
        true => Ok(addon.clone()),
        false => format!("{}-{addon}", app.name).parse(),
    }
}

/// Runs a source and a sink at once, with a pipe between; the source's problem is the one to tell.
fn through<T>(
    source: impl FnOnce(&mut dyn Write) -> Result<(), Problem> + Send,
    sink: impl FnOnce(&mut (dyn Read + Send)) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let (reader, mut writer) = io::pipe().map_err(internal)?;
    let (sender, outcome) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let ended = source(&mut writer);
            drop(writer);
            // Nobody waits for it when the sink has failed.
            let _ = sender.send(ended);
        });
        let mut from = Checked { reader, outcome, problem: None };
        let sunk = sink(&mut from);
        match from.problem.take() {
            Some(problem) => Err(problem),
            None => sunk,
        }
    })
}

struct Checked {
    reader: PipeReader,
    outcome: Receiver<Result<(), Problem>>,
    problem: Option<Problem>,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        match self.outcome.recv() {
            Ok(Err(problem)) => {
                let title = problem.title.clone();
                self.problem = Some(problem);
                Err(io::Error::other(title))
            }
            // After the first end there is nothing to receive.
            Ok(Ok(())) | Err(_) if self.problem.is_none() => Ok(0),
            _ => Err(io::Error::other("the source failed")),
        }
    }
}
