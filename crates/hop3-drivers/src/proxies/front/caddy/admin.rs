// SPDX-License-Identifier: Apache-2.0
//! Caddy's own door: a Unix socket where it is told its configuration and says whether it goes by it, in a folder that
//! nobody else may enter. Its name is the number of the process, so that one that ends takes nobody else's away.

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const GOOD: &str = "HTTP/1.0 200 ";
const FOLDER: &str = "admin";
/// Thousands of certificates take their time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of an answer, so many bytes are read.
const MAX_ANSWER: u64 = 64 << 10;

pub(super) fn socket(front: &Path, pid: u32) -> PathBuf {
    front.join(FOLDER).join(pid.to_string())
}

/// Makes the folder for them, and removes those of processes that were killed.
pub(super) fn prepare(front: &Path) -> io::Result<()> {
    let folder = front.join(FOLDER);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    for entry in fs::read_dir(folder)?.flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// One question and its answer. What is the same as before is loaded all the same: certificates lie in files of
/// their own.
pub(super) fn ask(socket: &Path, method: &str, path: &str, body: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0, so that nothing is cut into chunks.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: caddy\r\nContent-Type: application/json\r\n\
         Cache-Control: must-revalidate\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
