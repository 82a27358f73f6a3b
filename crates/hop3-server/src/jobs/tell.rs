// SPDX-License-Identifier: Apache-2.0
//! Tell: brings events to the plugins that asked for them, in order and at least once. What a plugin was told is noted
//! after its answer; one that is away gets the rest later. Each has a thread while there is something to tell, so that
//! none waits for another.

use crate::server::Server;
use crate::store::Plugin;
use hop3_core::event::Event;
use hop3_core::name::PluginName;
use hop3_core::plugin::EventCall;
use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;

/// A plugin that failed is told again after this.
const PAUSE: Duration = Duration::from_secs(5);
const ROWS: usize = 200;

/// Who is being told, or failed and waits until then.
type Tellings = Arc<Mutex<BTreeMap<PluginName, Option<Instant>>>>;

pub(super) fn run(server: &Arc<Server>) {
    let (ring, bell) = channel();
    let mut events = server.subscribe();
    std::thread::spawn(move || {
        loop {
            match events.blocking_recv() {
                // The lines of a build come along with what comes after them.
                Ok(row) if matches!(row.event, Event::StepOutput { .. }) => {}
                Err(RecvError::Closed) => return,
                _ if ring.send(()).is_err() => return,
                _ => {}
            }
        }
    });
    let tellings = Tellings::default();
    loop {
        look(server, &tellings);
        match bell.recv_timeout(PAUSE) {
            Ok(()) => while bell.try_recv().is_ok() {},
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Begins to tell those who have not been told all and are not being told.
fn look(server: &Arc<Server>, tellings: &Tellings) {
    let Ok(plugins) = server.store.plugins() else { return };
    let listens =
        |plugin: &Plugin| plugin.info.enabled && !plugin.info.introduction.permissions.events.is_empty();
    for plugin in plugins.into_iter().filter(listens) {
        let name = plugin.name().clone();
        {
            let mut tellings = tellings.lock().unwrap_or_else(PoisonError::into_inner);
            match tellings.get(&name) {
                Some(None) => continue,
                Some(Some(until)) if Instant::now() < *until => continue,
                _ => tellings.insert(name.clone(), None),
            };
        }
        let (server, tellings) = (Arc::clone(server), Arc::clone(tellings));
        std::thread::spawn(move || {
            let is_done = tell(&server, plugin);
            let mut tellings = tellings.lock().unwrap_or_else(PoisonError::into_inner);
            match is_done {
                true => tellings.remove(&name),
                false => tellings.insert(name, Some(Instant::now() + PAUSE)),
            };
        });
    }
}

/// Tells one plugin all there is; false when that failed.
fn tell(server: &Server, mut plugin: Plugin) -> bool {
    let permissions = plugin.info.introduction.permissions.clone();
    loop {
        let Ok(rows) = server.store.all_events(plugin.info.last_event, ROWS) else { return false };
        let Some(last) = rows.last().map(|row| row.id) else { return true };
        for row in rows.into_iter().filter(|row| permissions.has_event(&row.event.kind())) {
            let id = row.id;
            if let Err(problem) = server.drivers.plugins.deliver(plugin.name(), &EventCall { event: row }) {
                tracing::warn!(plugin = %plugin.name(), problem = problem.title, "an event was not delivered");
                return false;
            }
            if !note(server, &mut plugin, id) {
                return false;
            }
        }
        if !note(server, &mut plugin, last) {
            return false;
        }
    }
}

fn note(server: &Server, plugin: &mut Plugin, id: i64) -> bool {
    plugin.info.last_event = id;
    let noted = server.store.set_plugin_event(plugin.name(), id);
    noted.inspect_err(|error| tracing::error!(error = format!("{error:#}"), "not noted")).is_ok()
}
