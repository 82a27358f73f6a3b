// SPDX-License-Identifier: Apache-2.0
//! The life of one instance: start, watch, wait, start again, until it is stopped or crashes too often.
//!
//! ```text
//! start ──► watch ──ended──► rest ──delay──► start        every arrow writes the record first
//!             │                │ crash loop: rests until asked
//!             └──── stop ◄─────┘
//! ```
//! One task per instance; only it changes the record. Others send orders.

use crate::launcher::{Process, Start};
use crate::log::now_ms;
use crate::output::Output;
use crate::policy::{Verdict, judge};
use crate::problem::{launcher_failed, not_running};
use crate::protocol::{ChangeKind, Status};
use crate::record::Record;
use crate::role::World;
use crate::tree::{Member, Tree};
use hop3_core::Problem;
use hop3_core::workload::InstanceState;
use rustix::process::Signal;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

type Reply = oneshot::Sender<Result<(), Problem>>;

enum Order {
    Stop(Reply),
    Restart(Reply),
    Freeze(Reply),
    Thaw(Reply),
}

/// How others see and reach an instance.
pub(crate) struct Instance {
    record: RefCell<Record>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Instance {
    pub(crate) fn status(&self) -> Status {
        self.record.borrow().status()
    }

    pub(crate) async fn stop(&self) {
        // Fails only when the instance is gone already.
        let _ = self.order(Order::Stop).await;
    }

    pub(crate) async fn restart(&self) -> Result<(), Problem> {
        self.order(Order::Restart).await
    }

    pub(crate) async fn freeze(&self) -> Result<(), Problem> {
        self.order(Order::Freeze).await
    }

    pub(crate) async fn thaw(&self) {
        // Fails only when it is gone, or does not run.
        if self.status().state == InstanceState::Frozen {
            let _ = self.order(Order::Thaw).await;
        }
    }

    async fn order(&self, order: fn(Reply) -> Order) -> Result<(), Problem> {
        let (reply, answer) = oneshot::channel();
        let gone = || crate::problem::unknown_instance(&self.record.borrow().spec.id);
        self.orders.send(order(reply)).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// Begins to keep an instance; answers when it has been started once.
///
/// # Errors
/// Why it cannot be started; it is not kept then.
pub(crate) async fn begin(world: &Rc<World>, record: Record) -> Result<(), Problem> {
    let (reply, answer) = oneshot::channel();
    let keeper = Keeper::new(world, record).map_err(launcher_failed)?;
    tokio::task::spawn_local(keeper.run(Next::Start(Some(reply))));
    answer.await.unwrap_or_else(|_| Err(launcher_failed("the supervisor is ending")))
}

/// Goes on with an instance of an earlier supervisor.
pub(crate) fn resume(world: &Rc<World>, record: Record) {
    match Keeper::new(world, record) {
        Ok(keeper) => drop(tokio::task::spawn_local(keeper.resume())),
        Err(error) => tracing::error!(%error, "an instance cannot be adopted"),
    }
}

/// What the loop does next.
enum Next {
    Start(Option<Reply>),
    Watch(Process),
    Rest { lived_ms: u64 },
    Crashed,
    Gone(Option<Reply>, Result<(), Problem>),
}

struct Keeper {
    world: Rc<World>,
    instance: Rc<Instance>,
    orders: mpsc::UnboundedReceiver<Order>,
    output: Rc<Output>,
    pump: tokio::task::JoinHandle<()>,
    /// The processes that stand still, remembered so that they can go on at once.
    frozen: Vec<Member>,
    /// A first start that fails is the asker's to handle; later ones are failures of the instance.
    was_started: bool,
}

impl Keeper {
    fn new(world: &Rc<World>, record: Record) -> std::io::Result<Keeper> {
        let spec = &record.spec;
        let path = world.pipes().join(&spec.id);
        let output = Output::open(path, world.logs.clone(), &spec.group, &spec.name)?;
        let pump = tokio::task::spawn_local(output.clone().pump());
        let (sender, orders) = mpsc::unbounded_channel();
        let id = spec.id.clone();
        let instance = Rc::new(Instance { record: RefCell::new(record), orders: sender });
        world.instances.borrow_mut().insert(id, instance.clone());
        Ok(Keeper {
            world: world.clone(),
            instance,
            orders,
            output,
            pump,
            frozen: Vec::new(),
            was_started: false,
        })
    }

    async fn resume(mut self) {
        self.was_started = true;
        let record = self.instance.record.borrow().clone();
        let adopted = record.process.as_ref().and_then(|p| Process::adopt(p, self.mark(), self.user()));
        let next = match (record.state, adopted) {
            (InstanceState::Stopping, Some(mut process)) => {
                // It may have been frozen before.
                process.tree.members().iter().for_each(|member| member.send(Signal::CONT));
                process.stop(self.goodbye()).await;
                Next::Gone(None, Ok(()))
            }
            (InstanceState::Frozen, Some(process)) => {
                self.frozen = process.tree.freeze().await;
                Next::Watch(process)
            }
            (_, Some(process)) => Next::Watch(process),
            (state, None) => {
                self.leftovers(&record).kill().await;
                match state {
                    InstanceState::Stopping | InstanceState::Stopped => Next::Gone(None, Ok(())),
                    InstanceState::Crashed => Next::Crashed,
                    InstanceState::Running | InstanceState::Frozen => {
                        self.update(|record| record.last_exit = Some("ended while unwatched".into()));
                        Next::Rest { lived_ms: now_ms().saturating_sub(record.started_ms) }
                    }
                    _ => Next::Start(None),
                }
            }
        };
        self.run(next).await;
    }

    async fn run(mut self, first: Next) {
        let mut next = first;
        loop {
            next = match next {
                Next::Start(reply) => self.start(reply).await,
                Next::Watch(process) => self.watch(process).await,
                Next::Rest { lived_ms } => self.rest(lived_ms).await,
                Next::Crashed => self.obey().await,
                Next::Gone(reply, outcome) => return self.forget(reply, outcome),
            };
        }
    }

    async fn start(&mut self, reply: Option<Reply>) -> Next {
        let outcome = match self.output.writer(self.user()) {
            Err(error) => Err(launcher_failed(error)),
            Ok(stdout) => {
                let start = Start {
                    launcher: &self.world.options.launcher,
                    reaper: &self.world.reaper,
                    mark: self.mark(),
                    stdout,
                    stdin: false,
                    errors: None,
                    dies_with_parent: false,
                };
                let job = self.instance.record.borrow().spec.job.clone();
                start.run(&job, |process| self.note_start(process)).await
            }
        };
        match outcome {
            Ok(process) => {
                self.was_started = true;
                self.tell(ChangeKind::Started);
                answer(reply, Ok(()));
                Next::Watch(process)
            }
            Err(problem) if !self.was_started => Next::Gone(reply, Err(problem)),
            Err(problem) => {
                self.note_end(problem.title.clone());
                answer(reply, Err(problem));
                Next::Rest { lived_ms: 0 }
            }
        }
    }

    async fn watch(&mut self, mut process: Process) -> Next {
        let order = tokio::select! {
            ended = process.ended() => {
                process.tree.kill().await;
                self.output.drain();
                let lived_ms = now_ms().saturating_sub(self.instance.record.borrow().started_ms);
                self.note_end(ended.to_string());
                self.tell(ChangeKind::Exited);
                return Next::Rest { lived_ms };
            }
            order = self.orders.recv() => order,
        };
        let order = match order {
            Some(Order::Freeze(reply)) => {
                // Recorded first: a supervisor that ends in the middle leaves nothing frozen that the next does not know.
                self.update(|record| record.state = InstanceState::Frozen);
                self.frozen = process.tree.freeze().await;
                answer(Some(reply), Ok(()));
                return Next::Watch(process);
            }
            Some(Order::Thaw(reply)) => {
                self.thaw(&process);
                self.update(|record| record.state = InstanceState::Running);
                answer(Some(reply), Ok(()));
                return Next::Watch(process);
            }
            other => other,
        };
        // Standing still, it would not hear that it shall end.
        self.thaw(&process);
        self.update(|record| record.state = InstanceState::Stopping);
        process.stop(self.goodbye()).await;
        self.output.drain();
        self.next(order)
    }

    fn thaw(&mut self, process: &Process) {
        if self.instance.record.borrow().state != InstanceState::Frozen {
            return;
        }
        let mut frozen = std::mem::take(&mut self.frozen);
        if frozen.is_empty() {
            frozen = process.tree.members();
        }
        frozen.iter().for_each(|member| member.send(Signal::CONT));
    }

    /// Waits before the next start, or judges that there is none.
    async fn rest(&mut self, lived_ms: u64) -> Next {
        let mut verdict = Verdict::Crashed;
        self.update(|record| {
            verdict = judge(&record.spec.restart, &mut record.early_ends_ms, now_ms(), lived_ms);
            record.state = match verdict {
                Verdict::StartAfter(_) => InstanceState::Backoff,
                Verdict::Crashed => InstanceState::Crashed,
            };
        });
        let Verdict::StartAfter(delay) = verdict else {
            self.tell(ChangeKind::Crashed);
            return Next::Crashed;
        };
        match tokio::time::timeout(delay, self.order()).await {
            Ok(order) => self.next(order),
            Err(_elapsed) => {
                self.instance.record.borrow_mut().restarts += 1;
                Next::Start(None)
            }
        }
    }

    async fn obey(&mut self) -> Next {
        let order = self.order().await;
        self.next(order)
    }

    /// The next order for an instance that does not run.
    async fn order(&mut self) -> Option<Order> {
        loop {
            match self.orders.recv().await? {
                Order::Freeze(reply) | Order::Thaw(reply) => {
                    let problem = not_running(&self.instance.record.borrow().spec.id);
                    answer(Some(reply), Err(problem));
                }
                order => return Some(order),
            }
        }
    }

    fn next(&mut self, order: Option<Order>) -> Next {
        match order {
            Some(Order::Restart(reply)) => {
                let mut record = self.instance.record.borrow_mut();
                record.early_ends_ms.clear();
                record.restarts += 1;
                Next::Start(Some(reply))
            }
            Some(Order::Stop(reply) | Order::Freeze(reply) | Order::Thaw(reply)) => {
                Next::Gone(Some(reply), Ok(()))
            }
            None => Next::Gone(None, Ok(())),
        }
    }

    fn note_start(&self, process: &Process) {
        self.update(|record| {
            record.state = InstanceState::Running;
            record.started_ms = now_ms();
            record.process = Some(process.running());
        });
    }

    fn note_end(&self, how: String) {
        self.update(|record| {
            record.process = None;
            record.last_exit = Some(how);
        });
    }

    fn update(&self, change: impl FnOnce(&mut Record)) {
        let mut record = self.instance.record.borrow_mut();
        change(&mut record);
        if let Err(error) = record.save(&self.world.options.layout.supervisor_state()) {
            tracing::error!(%error, id = record.spec.id, "the record cannot be written");
        }
    }

    fn tell(&self, what: ChangeKind) {
        // Nobody listening is fine.
        let _ = self.world.changes.send(self.instance.record.borrow().change(what));
    }

    fn forget(&self, reply: Option<Reply>, outcome: Result<(), Problem>) {
        self.pump.abort();
        self.output.remove();
        let id = &self.instance.record.borrow().spec.id;
        Record::forget(&self.world.options.layout.supervisor_state(), id);
        self.world.instances.borrow_mut().remove(id);
        self.world.gone.notify_waiters();
        answer(reply, outcome);
    }

    /// What an ended first process may have left behind.
    fn leftovers(&self, record: &Record) -> Tree {
        let leader = record.process.as_ref().and_then(|p| {
            let is_this_boot = p.boot_id == crate::record::boot_id();
            rustix::process::Pid::from_raw(p.pid).filter(|_| is_this_boot).map(|pid| (pid, p.start_time))
        });
        Tree { mark: self.mark(), leader, namespace: None, user: self.user() }
    }

    fn mark(&self) -> String {
        self.world.mark(&self.instance.record.borrow().spec.id)
    }

    fn user(&self) -> Option<u32> {
        self.instance.record.borrow().spec.job.sandbox.user.filter(|_| self.world.is_privileged)
    }

    /// What asks it to end, and how long it may take.
    fn goodbye(&self) -> (Signal, Duration) {
        let record = self.instance.record.borrow();
        let signal = record.spec.stop_signal.and_then(Signal::from_named_raw);
        (signal.unwrap_or(Signal::TERM), Duration::from_secs(record.spec.stop_grace_secs.into()))
    }
}

fn answer(reply: Option<Reply>, outcome: Result<(), Problem>) {
    if let Some(reply) = reply {
        // The asker may have gone.
        let _ = reply.send(outcome);
    }
}
