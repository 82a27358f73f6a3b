// SPDX-License-Identifier: Apache-2.0
//! `Key`: a secret of the proxy's own, for digests that nobody else can make.

use aws_lc_rs::hmac;
use hop3_core::layout::Layout;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

/// Signs what clients keep for us.
#[derive(Clone)]
pub(crate) struct Key(Arc<hmac::Key>);

impl Default for Key {
    /// One that ends with this process.
    fn default() -> Key {
        let mut bytes = [0; 32];
        // Without randomness nothing can be signed; the system gives it or blocks.
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok();
        Key::of(&bytes)
    }
}

impl Key {
    fn of(bytes: &[u8]) -> Key {
        Key(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The one on disk, made when there is none, so that cookies outlive the process.
    pub(crate) fn open(layout: &Layout) -> io::Result<Key> {
        let path = layout.run_of("proxy").join("cookie.key");
        match std::fs::read(&path) {
            Ok(bytes) if bytes.len() == 32 => return Ok(Key::of(&bytes)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut bytes = [0; 32];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).open(&path)?.write_all(&bytes)?;
        Ok(Key::of(&bytes))
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0, bytes)
    }

    /// 32 hexadecimal digits.
    pub(super) fn token(&self, id: &str) -> String {
        self.sign(id.as_bytes()).as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
