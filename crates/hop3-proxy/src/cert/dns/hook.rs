// SPDX-License-Identifier: Apache-2.0
//! The driver that is a program: run as `PATH present|cleanup FQDN VALUE` with next to nothing in its environment, as
//! the user the proxy runs as. Exit status 0 says that it is done.

use super::Record;
use crate::cert::acme::{Blame, Fault};
use hop3_core::layout::Layout;
use hop3_core::{Kind, Problem};
use rustix::process::geteuid;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// What is kept of what it prints.
const MAX_OUTPUT: u64 = 4 << 10;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What apps may write is not run: an absolute path outside the installation, to a file that only root or the proxy's
/// own user can change.
pub(super) fn check(path: &Path, layout: &Layout) -> Result<(), Problem> {
    let refuse = |why: &str| {
        let title = format!("the program {} is not run", path.display());
        Problem::new(Kind::User, "acme.bad-hook", title)
            .detail(why)
            .hint("give the path of a program on the server that only root can change, for example in /usr/local/bin")
    };
    let real = path.canonicalize().map_err(|error| refuse(&error.to_string()))?;
    let root = layout.root().canonicalize().unwrap_or_else(|_| layout.root().to_owned());
    let about = real.metadata().map_err(|error| refuse(&error.to_string()))?;
    match () {
        () if !path.is_absolute() => Err(refuse("the path does not begin at /")),
        () if real.starts_with(root) => Err(refuse("it lies in the installation's own directory")),
        () if !about.is_file() || about.mode() & 0o111 == 0 => Err(refuse("it is not an executable file")),
        () if about.mode() & 0o022 != 0 || ![0, geteuid().as_raw()].contains(&about.uid()) => {
            Err(refuse("others than root can change it"))
        }
        () => Ok(()),
    }
}

pub(super) async fn run(path: &Path, verb: &str, record: &Record<'_>) -> Result<(), Fault> {
    let mut command = Command::new(path);
    command.args([verb, &record.fqdn, &record.value]).env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that whatever it has started ends with it.
    command.process_group(0).kill_on_drop(true);
    let limit = record.limits.dns_hook;
    let mut child = command.spawn().map_err(|error| failed(path, verb, &error.to_string()))?;
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let mut text = Vec::new();
        let mut errors = Vec::new();
        let (_, _) = tokio::join!(read(out.as_mut(), &mut text), read(err.as_mut(), &mut errors));
        text.extend(errors);
        (child.wait().await, text)
    };
    let Ok((status, output)) = tokio::time::timeout(limit, work).await else {
        if let Some(group) = group {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        return Err(failed(path, verb, &format!("it did not end within {} seconds", limit.as_secs())));
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(path, verb, &told(status, &output))),
        Err(error) => Err(failed(path, verb, &error.to_string())),
    }
}

/// The beginning is kept, and all is read, so that it is never stopped by a full pipe.
async fn read(pipe: Option<&mut (impl AsyncReadExt + Unpin)>, text: &mut Vec<u8>) {
    let Some(pipe) = pipe else { return };
    pipe.take(MAX_OUTPUT).read_to_end(text).await.ok();
    tokio::io::copy(pipe, &mut tokio::io::sink()).await.ok();
}

fn told(status: ExitStatus, output: &[u8]) -> String {
    format!("{status}\n{}", String::from_utf8_lossy(output).trim())
}

fn failed(path: &Path, verb: &str, why: &str) -> Fault {
    let title = format!("the program {} could not {verb} a DNS record", path.display());
    Fault::new(
        Blame::Host,
        Problem::new(Kind::Plugin, "acme.dns-hook", title)
            .detail(why)
            .hint("run it by hand: PATH present _acme-challenge.example.org VALUE"),
    )
}
