// SPDX-License-Identifier: Apache-2.0
//! Collects ended children and tells whoever waits for them.
//!
//! The supervisor is a subreaper: what an instance left behind becomes its child, so everything that ends here is
//! collected and nothing stays a zombie. A pid is ours to signal until it is collected, which only `collect` does.

use crate::protocol::Ended;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};
use std::cell::RefCell;
use std::collections::HashMap;
use tokio::sync::oneshot;

#[derive(Default)]
pub(crate) struct Reaper {
    waiting: RefCell<HashMap<i32, oneshot::Sender<Ended>>>,
}

impl Reaper {
    /// Registers a child. Must be called before the next await after its start.
    pub(crate) fn watch(&self, pid: Pid) -> oneshot::Receiver<Ended> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(pid.as_raw_nonzero().get(), sender);
        receiver
    }

    /// Collects every child that has ended.
    pub(crate) fn collect(&self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(sender) = self.waiting.borrow_mut().remove(&pid.as_raw_nonzero().get()) {
                let _ = sender.send(ended(status));
            }
        }
    }
}

fn ended(status: WaitStatus) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Status(code as u8),
        (None, Some(signal)) => Ended::Signal(signal as u8),
        (None, None) => Ended::Unknown,
    }
}
