// SPDX-License-Identifier: Apache-2.0
//! The request filter: a program of its own, `hop3-waf`, that may lie beside this one. It keeps nobody alive.

use super::keep;
use anyhow::{Context, Result};
use hop3_core::layout::Layout;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

pub(crate) const ROLE: &str = "waf";

/// Where it lies, if it does.
pub(crate) fn program() -> Option<PathBuf> {
    let program = super::program().ok()?.with_file_name("hop3-waf");
    program.exists().then_some(program)
}

/// Starts it where there is one and it finds the library and the rules; else apps that want it are told that it is
/// away.
pub(crate) fn ensure(layout: &Layout) {
    let Some(program) = program() else { return keep::unwant(layout, ROLE) };
    let ensured = check(program).and_then(|()| {
        keep::want(layout, ROLE, &["--root".into(), layout.root().as_os_str().to_owned(), "--kept".into()])?;
        keep::ensure(layout, ROLE)
    });
    if let Err(error) = ensured {
        keep::unwant(layout, ROLE);
        tracing::warn!(error = format!("{error:#}"), "there is no request filter");
    }
}

fn check(program: PathBuf) -> Result<()> {
    let output = Command::new(program).arg(OsStr::new("--check")).output().context("starting hop3-waf")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
