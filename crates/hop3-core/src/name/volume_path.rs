// SPDX-License-Identifier: Apache-2.0
//! What may be the place of a volume. It is mounted there, so it may hide nothing that programs need.

use super::quoted;
use crate::problem::{Kind, Problem};

/// Directories at the top that belong to the machine.
const SYSTEM: &[&str] = &[
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "opt", "proc", "root", "run",
    "sbin", "sys", "tmp", "usr", "var",
];

pub(super) fn parse_volume_path(text: &str) -> Result<(), Problem> {
    let refuse = |why: &str| {
        Err(Problem::new(
            Kind::User,
            "storage.bad-path",
            format!("{} is no place for a volume: {why}", quoted(text)),
        )
        .hint("name a directory of the app, for example uploads, or one at the top, for example /data"))
    };
    let rest = text.strip_prefix('/').unwrap_or(text);
    if rest.is_empty() || text.len() > 255 {
        return refuse("it has 1 to 255 characters");
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if let Some(c) = rest.chars().find(|c| !is_plain(*c)) {
        return refuse(&format!("it has the character {c:?}"));
    }
    if rest.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return refuse("it has an empty part, \".\" or \"..\"");
    }
    let top = rest.split('/').next().unwrap_or(rest);
    if text.starts_with('/') && SYSTEM.contains(&top) {
        return refuse(&format!("/{top} belongs to the system"));
    }
    Ok(())
}
