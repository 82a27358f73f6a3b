// SPDX-License-Identifier: Apache-2.0
//! `Product`: a real server of somebody else's, before or behind the proxy.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Product {
    child: Child,
    pub(crate) address: SocketAddr,
    _home: tempfile::TempDir,
}

impl Drop for Product {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Product {
    /// Starts a program with one file of its own and waits until it accepts; `None` when this machine does not have
    /// it, which is said. `PORT` and `HOME` are replaced in the file's text and in the command line.
    pub(crate) fn start(file: (&str, &str), command: &[&str]) -> Option<Product> {
        let name = command[0];
        let Some(program) = find(name) else {
            assert!(std::env::var_os("HOP3_NO_SKIP").is_none(), "{name} is not there");
            println!("SKIP what needs {name}: not installed");
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let fill = |text: &str| {
            text.replace("PORT", &address.port().to_string()).replace("HOME", home.path().to_str().unwrap())
        };
        std::fs::write(home.path().join(file.0), fill(file.1)).unwrap();
        let mut started = Command::new(program);
        started.args(command[1..].iter().map(|word| fill(word)));
        let mut child = started.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "{name} ended");
            assert!(Instant::now() < deadline, "{name} does not start");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Some(Product { child, address, _home: home })
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    places.map(|place| Path::new(place).join(program)).find(|file| file.exists())
}
