// SPDX-License-Identifier: Apache-2.0
//! A product's configuration on disk: each in a folder of its own, judged by the product before it counts, and made
//! to count by moving one link.

use super::choice::Choice;
use super::product::{Files, program};
use hop3_core::layout::Layout;
use hop3_core::problem::{Kind, Problem};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Of what the product says, so many lines are told.
const LINES: usize = 20;

/// Writes a configuration and has the product judge it. `None` when it is the one that counts already.
///
/// # Errors
/// The product refuses it: the problem has its own words. A disk that does not take it.
pub(crate) fn prepare(choice: &Choice, layout: &Layout, files: &Files) -> Result<Option<PathBuf>, Problem> {
    let current = choice.current(layout);
    let is_same =
        |(name, text): &(String, String)| fs::read_to_string(current.join(name)).is_ok_and(|t| t == *text);
    if files.iter().all(is_same) {
        return Ok(None);
    }
    let folder = write(choice, layout, files).map_err(|error| disk(&error))?;
    check(choice, layout, &folder).inspect_err(|_| drop(fs::remove_dir_all(&folder)))?;
    Ok(Some(folder))
}

fn write(choice: &Choice, layout: &Layout, files: &Files) -> io::Result<PathBuf> {
    let front = layout.front();
    fs::create_dir_all(front.join("tmp"))?;
    if let Some((name, text)) = choice.product.beside(1).filter(|(name, _)| !front.join(name).exists()) {
        fs::write(front.join(name), text)?;
    }
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let folder = front.join(format!("{}-{:016x}", choice.product.name(), u64::from_ne_bytes(random)));
    fs::create_dir(&folder)?;
    for (name, text) in files {
        let file = folder.join(name);
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(file, text)?;
    }
    Ok(folder)
}

/// Asks the product about the configuration that counts, or another one.
pub(crate) fn check(choice: &Choice, layout: &Layout, folder: &Path) -> Result<(), Problem> {
    let place = choice.place(layout)?;
    let name = choice.product.name();
    let mut command = Command::new(program(choice.product)?);
    command
        .args(choice.product.check(folder, &place))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOP3_HTTP", place.http.to_string())
        .env("HOP3_HTTPS", place.https.unwrap_or(place.http).to_string());
    let judged = choice.product.judge(command, folder).map_err(|error| disk(&error))?;
    if judged.is_good {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&judged.said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).take(LINES).collect();
    Err(Problem::new(Kind::Conflict, "proxy.rejected", format!("{name} does not take its configuration"))
        .detail(lines.join("\n"))
        .hint("nothing has changed; the built-in proxy serves everything: hop3 proxy use built-in"))
}

/// Makes a configuration the one that counts. Gives the one before, which is kept until `sweep`.
pub(crate) fn activate(choice: &Choice, layout: &Layout, folder: &Path) -> Result<Option<PathBuf>, Problem> {
    let link = choice.current(layout);
    let before = fs::read_link(&link).ok();
    let fresh = link.with_extension("new");
    let moved = fs::remove_file(&fresh)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .and_then(|()| symlink(folder, &fresh))
        .and_then(|()| fs::rename(&fresh, &link));
    moved.map_err(|error| disk(&error))?;
    Ok(before)
}

/// Removes every configuration but the one that counts.
pub(crate) fn sweep(choice: &Choice, layout: &Layout) {
    let current = fs::read_link(choice.current(layout)).ok();
    let prefix = format!("{}-", choice.product.name());
    for entry in fs::read_dir(layout.front()).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix));
        if is_ours && current.as_ref() != Some(&entry.path()) {
            // The next sweep tries again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

pub(crate) fn disk(error: &io::Error) -> Problem {
    Problem::new(Kind::Unavailable, "proxy.disk", "the proxy's configuration cannot be written")
        .detail(error.to_string())
        .hint("is the disk full? see: hop3 doctor")
}
