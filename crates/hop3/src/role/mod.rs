// SPDX-License-Identifier: Apache-2.0
//! The roles of the program. Each may be killed at any moment; `keep` starts it again from whichever other one lives.

pub(crate) mod git;
pub(crate) mod keep;
pub(crate) mod proxy;
pub(crate) mod rebuild;
pub(crate) mod server;
pub(crate) mod stop;
pub(crate) mod supervise;
pub(crate) mod upgrade;
pub(crate) mod waf;

use hop3_core::layout::Layout;
use std::io::IsTerminal;
use std::path::PathBuf;

/// The root of `--root`, `HOP3_ROOT` or the default, as an absolute path: roles run in other directories.
pub(crate) fn layout(options: &hop3_cli::GlobalArgs) -> Layout {
    let root = options.root.clone().unwrap_or_else(|| PathBuf::from(Layout::DEFAULT_ROOT));
    let root = std::path::absolute(&root).unwrap_or(root);
    Layout::new(root.canonicalize().unwrap_or(root))
}

/// Where this program lies. Once the file was replaced by an upgrade, the kernel marks the path of the old one; what
/// lies there now is what to start next.
pub(crate) fn program() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let replaced = path.to_str().and_then(|text| text.strip_suffix(" (deleted)"));
    Ok(replaced.map(PathBuf::from).unwrap_or(path))
}

/// The operator's log: text on a terminal, JSON otherwise.
pub(crate) fn log() {
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        // It would tell of a log that cannot be written on the same stream, and panic: a full disk must not end work.
        .log_internal_errors(false);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().with_target(true).init();
    }
}
