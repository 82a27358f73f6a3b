// SPDX-License-Identifier: Apache-2.0
//! `hop3 proxy upgrade`: a new proxy process, of the program as it lies on disk now, takes over the sockets of the one
//! that runs (`hop3_proxy::handover`). The old one ends when its last request has.

use super::keep;
use hop3_core::layout::Layout;
use hop3_core::lock;
use hop3_core::problem::{Kind, Problem};
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A proxy that starts is there within this.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn run(layout: &Layout) -> ExitCode {
    match upgrade(layout) {
        Ok((old, new)) => {
            let _ = writeln!(std::io::stdout(), "the proxy {new} has taken the place of {old}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            let _ = std::io::stderr().write_all(problem.render().as_bytes());
            ExitCode::from(problem.kind.exit_code())
        }
    }
}

/// Returns the old pid and the new one, once the new one serves.
pub(crate) fn upgrade(layout: &Layout) -> Result<(u32, u32), Problem> {
    let file = layout.lock_of("proxy");
    let (Some(old), Some(mut arguments)) = (lock::holder(&file), keep::wanted(layout, "proxy")) else {
        let title = format!("no proxy runs for {}", layout.root().display());
        return Err(Problem::new(Kind::NotFound, "proxy.not-running", title)
            .hint("start the server; it starts the proxy: hop3 server"));
    };
    arguments.push("--takes-over".into());
    let mut child =
        keep::spawn(layout, "proxy", &arguments).map_err(|e| failed(layout, &format!("{e:#}")))?;
    let deadline = Instant::now() + PATIENCE;
    while lock::holder(&file) != Some(child.id()) {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(failed(layout, &format!("the new proxy ended with {status}")));
        }
        if Instant::now() > deadline {
            // Ours, and not in place: the old one goes on.
            let _ = child.kill().and_then(|()| child.wait());
            return Err(failed(layout, &format!("the new proxy did not serve within {PATIENCE:?}")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok((old, child.id()))
}

fn failed(layout: &Layout, detail: &str) -> Problem {
    let log = layout.run_of("proxy").join("log");
    Problem::new(Kind::Unavailable, "proxy.not-upgraded", "the proxy was not replaced; the old one serves on")
        .detail(detail)
        .hint(format!("its log says more: {}", log.display()))
}
