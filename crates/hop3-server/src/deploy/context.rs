// SPDX-License-Identifier: Apache-2.0
//! `Context`: what is constant for one deployment, and its undo stack. It has no field that one step fills in for
//! another: values travel as arguments.

use super::hook;
use crate::server::Server;
use crate::store::{App, DeploymentId};
use hop3_core::driver::Output;
use hop3_core::event::{DeployStep, Event};
use hop3_core::problem::Problem;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

/// Config values shorter than this are words, not secrets, and are left in build output.
const REDACT_FROM: usize = 8;

type Undo = Box<dyn FnOnce() -> Result<(), Problem>>;

pub(crate) struct Context<'a> {
    pub server: &'a Arc<Server>,
    pub app: App,
    /// `None` for changes that are no deployment (config, scale).
    pub deployment: Option<DeploymentId>,
    current: Cell<DeployStep>,
    undo: RefCell<Vec<(String, Undo)>>,
    secrets: RefCell<Vec<String>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(server: &'a Arc<Server>, app: App, deployment: Option<DeploymentId>) -> Context<'a> {
        Context {
            server,
            app,
            deployment,
            current: Cell::new(DeployStep::Checkout),
            undo: RefCell::default(),
            secrets: RefCell::default(),
        }
    }

    /// The only wrapper of a step: tells its start and end, times it, asks plugins that have a hook there.
    pub(crate) fn step<T>(
        &self,
        step: DeployStep,
        body: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let started = Instant::now();
        self.current.set(step);
        self.tell(Event::StepStarted { step });
        let result = hook::before(self, step).and_then(|()| body());
        match &result {
            Ok(_) => {
                hook::after(self, step);
                self.tell(Event::StepFinished { step, millis: started.elapsed().as_millis() as u64 });
            }
            Err(problem) => self.tell(Event::StepFailed { step, problem: self.redacted(problem) }),
        }
        result
    }

    /// Stores and streams an event of this deployment. Changes that are no deployment tell their steps to nobody.
    pub(crate) fn tell(&self, event: Event) {
        let silent = matches!(
            event,
            Event::StepStarted { .. } | Event::StepFinished { .. } | Event::StepOutput { .. }
        );
        if self.deployment.is_some() || !silent {
            self.server.record(Some(&self.app), self.deployment, event);
        }
    }

    /// A line of the current step, with config values taken out.
    pub(crate) fn say(&self, text: &str) {
        self.tell(Event::StepOutput { step: self.current.get(), text: self.redact(text) });
    }

    pub(crate) fn warn(&self, text: &str) {
        self.tell(Event::Warned { text: self.redact(text) });
    }

    /// Registers what must happen if the deployment fails later.
    pub(crate) fn undo(
        &self,
        what: impl Into<String>,
        action: impl FnOnce() -> Result<(), Problem> + 'static,
    ) {
        self.undo.borrow_mut().push((what.into(), Box::new(action)));
    }

    /// Nothing is undone any more: the new release serves.
    pub(crate) fn commit(&self) {
        self.undo.borrow_mut().clear();
    }

    /// Runs the undo stack, newest first. A compensation that fails is told and does not stop the others.
    pub(crate) fn unwind(&self) {
        while let Some((what, action)) = { self.undo.borrow_mut().pop() } {
            match action() {
                Ok(()) => self.tell(Event::StepUndone { text: what }),
                Err(problem) => self.warn(&format!("could not {what}: {}", problem.title)),
            }
        }
    }

    /// Values that must not appear in what this deployment says.
    pub(crate) fn hide<'s>(&self, values: impl Iterator<Item = &'s String>) {
        self.secrets.borrow_mut().extend(values.filter(|v| v.len() >= REDACT_FROM).cloned());
    }

    fn redact(&self, text: &str) -> String {
        let secrets = self.secrets.borrow();
        secrets.iter().fold(text.to_owned(), |text, secret| match text.contains(secret.as_str()) {
            true => text.replace(secret.as_str(), "[redacted]"),
            false => text,
        })
    }

    pub(crate) fn redacted(&self, problem: &Problem) -> Problem {
        Problem {
            detail: self.redact(&problem.detail),
            title: self.redact(&problem.title),
            ..problem.clone()
        }
    }
}

/// Output of a command of the current step, which also keeps the last lines for a problem's detail.
pub(super) struct Told<'c, 'a> {
    cx: &'c Context<'a>,
    tail: Vec<String>,
}

/// Lines of output a problem quotes.
const TAIL_LINES: usize = 20;

impl<'c, 'a> Told<'c, 'a> {
    pub(super) fn new(cx: &'c Context<'a>) -> Told<'c, 'a> {
        Told { cx, tail: Vec::new() }
    }

    pub(super) fn tail(&self) -> String {
        self.tail.join("\n")
    }
}

impl Output for Told<'_, '_> {
    fn line(&mut self, text: &str) -> bool {
        self.cx.say(text);
        if self.tail.len() == TAIL_LINES {
            self.tail.remove(0);
        }
        self.tail.push(text.to_owned());
        true
    }
}
