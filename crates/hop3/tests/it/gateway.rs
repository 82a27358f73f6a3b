// SPDX-License-Identifier: Apache-2.0
//! An object storage that nobody of Hop3 keeps: Versity's gateway over a directory, with one key that may do all.

use crate::harness::{skip, until};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) const KEY: &str = "somebodysKey";
pub(crate) const SECRET: &str = "somebodysSecretWord";

pub(crate) struct Gateway {
    process: Child,
    pub(crate) port: u16,
}

/// The program, where it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|place| place.join("versitygw")).find(|file| file.exists())
}

impl Gateway {
    /// Serves what lies in that directory, on a port of its choice unless one is named. None where there is no program.
    pub(crate) fn start(test: &str, directory: &Path, port: Option<u16>) -> Option<Gateway> {
        let Some(program) = program() else {
            skip(test, "versitygw is not installed");
            return None;
        };
        std::fs::create_dir_all(directory).unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = port.unwrap_or_else(free);
        let mut command = Command::new(program);
        command.args(["--port", &format!("127.0.0.1:{port}"), "--quiet", "posix"]).arg(directory);
        command.env("ROOT_ACCESS_KEY_ID", KEY).env("ROOT_SECRET_ACCESS_KEY", SECRET);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the object storage listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Gateway { process, port })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
