// SPDX-License-Identifier: Apache-2.0
//! The user's terminal while a program on the server has it: raw mode, its size, and its way back.
//!
//! Raw mode ends when the guard is dropped, on every path out.

use rustix::termios::{self, OptionalActions, Termios};
use std::io::{self, IsTerminal, Read};
use tokio::sync::mpsc;

/// No echo, until dropped.
pub(crate) struct Quiet(RawMode);

impl Quiet {
    pub(crate) fn enter() -> Option<Quiet> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(termios::LocalModes::ECHO);
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &quiet).ok()?;
        Some(Quiet(RawMode { before }))
    }
}

/// Raw mode, until dropped.
pub(crate) struct RawMode {
    before: Termios,
}

impl RawMode {
    /// `None` unless both ends of this command are a terminal.
    pub(crate) fn enter() -> Option<RawMode> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(RawMode { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Without the terminal there is nothing left to restore.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Rows and columns.
pub(crate) fn size() -> (u16, u16) {
    match termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row, size.ws_col),
        _ => (24, 80),
    }
}

/// Standard input, chunk by chunk; closed at its end.
///
/// Read on a plain thread: a read of a terminal cannot be cancelled, and must not hold up the end of the program.
pub(crate) fn input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = stdin.read(&mut buffer) {
            if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
