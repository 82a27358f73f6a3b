// SPDX-License-Identifier: Apache-2.0
//! `hop3 server stop [--all]`: ends roles of a root from outside, whether or not the server answers. Only processes
//! that hold a lock of this root are ended.

use super::keep;
use crate::wire;
use hop3_core::layout::Layout;
use hop3_core::lock;
use hop3_core::problem::{Kind, Problem};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::Write;
use std::process::ExitCode;

pub(crate) fn run(layout: &Layout, all: bool) -> ExitCode {
    let ended = end(layout, "server").and_then(|()| if all { others(layout) } else { Ok(()) });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = std::io::stderr().write_all(problem.render().as_bytes());
            ExitCode::from(problem.kind.exit_code())
        }
    }
}

/// Ends the proxy, then every instance and the supervisor.
pub(crate) fn others(layout: &Layout) -> Result<(), Problem> {
    keep::unwant(layout, "supervisor");
    end(layout, "proxy")?;
    // A role that was killed has ended nothing.
    wire::end_fronts(layout);
    end(layout, super::waf::ROLE)?;
    if keep::lives(layout, "supervisor") {
        hop3_supervisor::Client::new(layout.supervisor_socket()).shutdown()?;
        wait(layout, "supervisor")?;
    }
    Ok(())
}

fn end(layout: &Layout, role: &str) -> Result<(), Problem> {
    keep::unwant(layout, role);
    if !keep::lives(layout, role) {
        return Ok(());
    }
    let pid = lock::holder(&layout.lock_of(role)).and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
    let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // The descriptor names the process that holds the lock if the lock is still held: a pid is not given away while
    // its process lives.
    let told = process.filter(|_| keep::lives(layout, role)).map(|fd| pidfd_send_signal(fd, Signal::TERM));
    match told {
        Some(Ok(())) => wait(layout, role),
        _ => Err(Problem::new(
            Kind::Denied,
            "server.not-stopped",
            format!("the {role} could not be told to end"),
        )
        .hint("run this as the user that started it")),
    }
}

fn wait(layout: &Layout, role: &str) -> Result<(), Problem> {
    lock::wait_until_free(&layout.lock_of(role)).map_err(|e| {
        Problem::new(Kind::Unavailable, "server.not-stopped", format!("the {role} has not ended"))
            .detail(e.to_string())
    })
}
