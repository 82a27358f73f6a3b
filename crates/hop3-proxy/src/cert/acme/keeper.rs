// SPDX-License-Identifier: Apache-2.0
//! `Keeper`: the thread that sees which names need a certificate, and when, and sends for them, a few at a time.

use super::fault::Fault;
use super::order::Errand;
use super::progress::{Progress, now_ms};
use super::renewal::{self, Leaf};
use super::shared::{Parts, Shared};
use crate::cert::Origin;
use hop3_core::acme::Acme;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::ops::Deref;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::task::JoinSet;

/// A table that changes is looked at when it has come to rest: a deployment changes it more than once.
const CALM: Duration = Duration::from_millis(50);
/// Without news the keeper looks as often as this, should the clock have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
/// How much the thread yields to those that serve.
const NICENESS: i32 = 10;

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    pub(crate) fn new(parts: Parts) -> Keeper {
        Keeper { shared: Arc::new(Shared::new(parts)), thread: Mutex::default() }
    }

    pub(crate) fn start(&self) -> io::Result<()> {
        self.shared.is_stopping.store(false, SeqCst);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("keeper".into()).spawn(move || {
            // Where it may not, it merely does not yield.
            rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS).ok();
            runtime.block_on(Round::new(shared).run());
        })?;
        *self.thread() = Some(thread);
        Ok(())
    }

    /// Leaves what is under way as it lies on disk, for the next to take up.
    pub(crate) fn stop(&self) {
        self.shared.is_stopping.store(true, SeqCst);
        self.shared.wake();
        if self.thread().take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the keeper of certificates has panicked");
        }
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever has the keeper may ask and tell it.
impl Deref for Keeper {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// What a name needs, and when.
struct Due {
    at_ms: u64,
    what: Need,
    /// What was in the store for the name when it was looked at.
    kept: Option<(String, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Certificate,
    /// The authority is asked when it would have it renewed.
    Window,
}

struct Round {
    shared: Arc<Shared>,
    dues: HashMap<String, Due>,
    busy: HashSet<String>,
    tasks: JoinSet<String>,
    changed_ms: u64,
}

impl Round {
    fn new(shared: Arc<Shared>) -> Round {
        Round { shared, dues: HashMap::new(), busy: HashSet::new(), tasks: JoinSet::new(), changed_ms: 0 }
    }

    async fn run(mut self) {
        while !self.shared.is_stopping.load(SeqCst) {
            let sleep = self.turn();
            tokio::select! {
                () = self.shared.news.notified() => tokio::time::sleep(CALM).await,
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                () = tokio::time::sleep(sleep) => {}
            }
        }
        // Dropped where they are.
        self.tasks.shutdown().await;
    }

    /// Sends for what is due and tells how long nothing else will be.
    fn turn(&mut self) -> Duration {
        let settings = self.shared.settings.load_full();
        let changed_ms = self.shared.changed_ms.load(SeqCst);
        if changed_ms != self.changed_ms {
            self.changed_ms = changed_ms;
            self.dues.clear();
        }
        if !settings.is_on() {
            return LONGEST_SLEEP;
        }
        let wanted = self.shared.wanted(&settings);
        self.dues.retain(|name, _| wanted.contains(name));
        self.take_asked(&wanted);
        let now = now_ms();
        let mut next = u64::MAX;
        for name in &wanted {
            if self.busy.contains(name) {
                continue;
            }
            let (at_ms, what) = self.due(name, &wanted);
            if at_ms > now {
                next = next.min(at_ms);
            } else if self.tasks.len() < self.shared.limits.orders {
                self.send(name.clone(), what, settings.clone());
            } else {
                // The next that ends brings us back here.
                break;
            }
        }
        Duration::from_millis(next.saturating_sub(now)).min(LONGEST_SLEEP)
    }

    fn take_asked(&mut self, wanted: &BTreeSet<String>) {
        let asked = std::mem::take(&mut *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner));
        for name in asked.into_iter().filter(|name| wanted.contains(name)) {
            let kept = self.shared.store.find(&name);
            self.dues.insert(name, Due { at_ms: 0, what: Need::Certificate, kept });
        }
    }

    /// From what is on disk, unless it was looked at and is the same still.
    fn due(&mut self, name: &str, wanted: &BTreeSet<String>) -> (u64, Need) {
        let kept = self.shared.store.find(name);
        if let Some(due) = self.dues.get(name).filter(|due| due.kept == kept) {
            return (due.at_ms, due.what);
        }
        let (at_ms, what) = match &kept {
            Some((kept, _)) => self.due_of(name, kept, wanted),
            None => (0, Need::Certificate),
        };
        let progress = Progress::load(&self.shared.layout, name);
        let waits = if progress.failed_ms < self.changed_ms { 0 } else { progress.next_ms };
        let at_ms = if what == Need::Certificate { at_ms.max(waits) } else { at_ms };
        self.dues.insert(name.to_owned(), Due { at_ms, what, kept });
        (at_ms, what)
    }

    /// What is kept may be for a wildcard that the name lies beneath.
    fn due_of(&self, name: &str, kept: &str, wanted: &BTreeSet<String>) -> (u64, Need) {
        let Ok(Some(bundle)) = self.shared.store.get(kept) else { return (0, Need::Certificate) };
        match bundle.origin {
            // Whoever brought it replaces it.
            Origin::Own => (u64::MAX, Need::Certificate),
            Origin::Internal => (0, Need::Certificate),
            Origin::Acme { .. } if kept == name => renewal::due(&self.shared.layout, name, &bundle.chain_pem),
            Origin::Acme { .. } if wanted.contains(kept) => (u64::MAX, Need::Certificate),
            Origin::Acme { .. } => (0, Need::Certificate),
        }
    }

    fn send(&mut self, name: String, need: Need, settings: Arc<Acme>) {
        self.busy.insert(name.clone());
        self.dues.remove(&name);
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            match need {
                Need::Certificate => obtain(&shared, &settings, &name).await,
                Need::Window => look(&shared, &settings, &name).await,
            }
            name
        });
    }

    fn ended(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(name) => drop(self.busy.remove(&name)),
            // Which name it was is not known; all are looked at again when nothing is under way.
            Err(error) => {
                tracing::error!(%error, "an order broke off");
                if self.tasks.is_empty() {
                    self.busy.clear();
                }
            }
        }
    }
}

async fn obtain(shared: &Shared, settings: &Acme, name: &str) {
    let progress = Progress::load(&shared.layout, name);
    let is_taken_up = !progress.orders.is_empty();
    let mut errand = Errand { shared, settings, name, progress, is_taken_up };
    let Err(fault) = errand.run().await else { return };
    errand.progress.failed(&fault, &shared.limits);
    if let Err(unsaved) = errand.progress.save(&shared.layout, name).await {
        tracing::error!(name, why = unsaved.problem.detail, "{}", unsaved.problem.title);
        // Without a memory of it nothing else would keep it from being tried at once.
        tokio::time::sleep(shared.limits.first_retry).await;
    }
}

/// Asks when the certificate there is should be renewed.
async fn look(shared: &Shared, settings: &Acme, name: &str) {
    let Ok(Some(kept)) = shared.store.get(name) else { return };
    let Some(leaf) = Leaf::read(&kept.chain_pem) else { return };
    let Origin::Acme { directory } = &kept.origin else { return };
    let every = shared.limits.window_check;
    let authority = settings.authorities.iter().find(|authority| authority.directory == *directory);
    let asked: Result<_, Fault> = match authority {
        Some(authority) => match shared.accounts.at(authority, settings).await {
            Ok(account) => Ok(renewal::ask(&account, authority.name(), &leaf, every).await),
            Err(fault) => Err(fault),
        },
        None => Ok(leaf.no_window(every)),
    };
    let mut progress = Progress::load(&shared.layout, name);
    progress.window = Some(asked.unwrap_or_else(|_| leaf.no_window(every)));
    if let Err(unsaved) = progress.save(&shared.layout, name).await {
        tracing::error!(name, why = unsaved.problem.detail, "{}", unsaved.problem.title);
        tokio::time::sleep(shared.limits.first_retry).await;
    }
}
