// SPDX-License-Identifier: Apache-2.0
//! A server that is away, dies, or is given up.

use super::ground::{Judge, Verdict, until};
use super::writer::{Writer, key_of};
use hop3_core::addon::AddonServer;
use rustix::process::{Pid, test_kill_process};
use std::error::Error;

/// Deaths in a row.
const DEATHS: usize = 2;

/// A server that is away is a status; it comes back with what it had.
pub(super) fn away(judge: &Judge<'_>) -> Verdict {
    let made = judge.make("away")?;
    let keeps = judge.driver().facts().capabilities.backs_up;
    judge.ground.client.write(&made.binding, "key", "kept")?;
    judge.ground.daemons.stop(&made.wanted.server.name, None)?;
    let status = judge.driver().status(&made.wanted)?;
    let mut wrong = Vec::new();
    if status.is_up || status.trouble.is_none() {
        wrong.push(format!("away, it is said to be {status:?}"));
    }
    judge.driver().serve(&made.wanted.server)?;
    judge.driver().provision(&made.wanted)?;
    wrong.extend(if keeps { judge.holds(&made.binding, "key", Some("kept")) } else { Vec::new() });
    Ok(wrong)
}

/// A killed server comes back by itself with all that was acknowledged.
pub(super) fn crashes(judge: &Judge<'_>) -> Verdict {
    let made = judge.make("crashes")?;
    let (_, written) = Writer::beside(judge.ground.client, &made.binding, |writer| {
        for _ in 0..DEATHS {
            writer.more(5)?;
            kill(judge, &made.wanted.server)?;
            writer.more(5)?;
        }
        Ok(())
    })?;
    let mut wrong = Vec::new();
    for number in written.acknowledged() {
        wrong.extend(judge.holds(&made.binding, &key_of(number), Some(&number.to_string())));
    }
    let status = judge.driver().status(&made.wanted)?;
    if !status.is_up {
        wrong.push(format!("it is said to be down: {:?}", status.trouble));
    }
    Ok(wrong)
}

/// SIGKILL to the server's process, and another one is there.
fn kill(judge: &Judge<'_>, server: &AddonServer) -> Result<(), Box<dyn Error>> {
    let pid = judge.pid(server)?.ok_or("the server has no process")?;
    (judge.ground.kill)(server, pid)?;
    let is_another = || judge.pid(server).is_ok_and(|now| now.is_some_and(|now| now != pid));
    until("the server comes back", is_another)
}

fn raw(pid: u32) -> Result<Pid, Box<dyn Error>> {
    Ok(Pid::from_raw(i32::try_from(pid)?).ok_or("not a pid")?)
}

/// A server that is given up leaves no process and no file.
pub(super) fn retires(judge: &Judge<'_>) -> Verdict {
    let made = judge.make("retires")?;
    let server = &made.wanted.server;
    let pid = raw(judge.pid(server)?.ok_or("the server has no process")?)?;
    judge.driver().retire(server)?;
    judge.driver().retire(server)?;
    let mut wrong = judge.is_refused("whoever had it", &made.binding);
    if test_kill_process(pid).is_ok() {
        wrong.push("its process lives".to_owned());
    }
    if !judge.ground.daemons.status(&server.name)?.is_empty() {
        wrong.push("its process is still kept".to_owned());
    }
    if judge.ground.layout.addon_server(&server.name).exists() {
        wrong.push("its files are still there".to_owned());
    }
    Ok(wrong)
}
