// SPDX-License-Identifier: Apache-2.0
//! The user's terminal while a program on the server has it: raw mode, its size, and its way back.
//!
//! A changed mode ends when its guard is dropped, on every path out.

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use std::io::{self, IsTerminal, Read};
use tokio::sync::mpsc;

/// A changed mode of the terminal, until dropped.
pub(crate) struct Mode {
    before: Termios,
}

impl Mode {
    /// Every key goes through; `None` unless both ends of this command are a terminal.
    pub(crate) fn raw() -> Option<Mode> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        Mode::changed(Termios::make_raw)
    }

    /// What is typed does not appear.
    pub(crate) fn quiet() -> Option<Mode> {
        Mode::changed(|mode| mode.local_modes.remove(LocalModes::ECHO))
    }

    fn changed(change: impl FnOnce(&mut Termios)) -> Option<Mode> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut mode = before.clone();
        change(&mut mode);
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &mode).ok()?;
        Some(Mode { before })
    }
}

impl Drop for Mode {
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
