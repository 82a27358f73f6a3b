// SPDX-License-Identifier: Apache-2.0
//! Sealing: config values at rest are encrypted with XChaCha20-Poly1305 (RFC 8439 with the extended nonce) under a
//! key kept in a file of its own, mode 0600. A stolen database file gives no secret away.

use anyhow::{Context, Result, bail};
use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const NONCE_BYTES: usize = 24;

/// Seals and opens values.
pub(crate) struct Sealer {
    cipher: XChaCha20Poly1305,
}

impl Sealer {
    /// Reads the key file, or makes it at the first start.
    pub(crate) fn open(path: &Path) -> Result<Sealer> {
        let key = match std::fs::read(path) {
            Ok(key) => key,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let key = XChaCha20Poly1305::generate_key(&mut OsRng).to_vec();
                let mut file =
                    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(&key)?;
                file.sync_all()?;
                key
            }
            Err(e) => return Err(e).with_context(|| format!("reading {}", path.display())),
        };
        if key.len() != 32 {
            bail!("{} is not a key of 32 bytes", path.display());
        }
        let cipher = XChaCha20Poly1305::new_from_slice(&key).context("using the key file")?;
        Ok(Sealer { cipher })
    }

    /// Gives nonce and ciphertext in one.
    pub(crate) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let sealed = self.cipher.encrypt(&nonce, plain).map_err(|_| anyhow::anyhow!("sealing failed"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(crate) fn open_sealed(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        if sealed.len() < NONCE_BYTES {
            bail!("a sealed value is too short");
        }
        let (nonce, body) = sealed.split_at(NONCE_BYTES);
        self.cipher
            .decrypt(XNonce::from_slice(nonce), body)
            .map_err(|_| anyhow::anyhow!("a sealed value does not open with this server's key"))
    }
}
