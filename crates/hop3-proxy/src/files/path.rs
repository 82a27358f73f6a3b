// SPDX-License-Identifier: Apache-2.0
//! Request paths to file names.
//!
//! Invariant: a `FilePath` is relative, has no `..`, no hidden part and no character that means something to a file
//! system or a browser other than its name. The kernel resolves it beneath the root all the same (`find`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FilePath {
    /// Parts joined by single slashes; empty for the root itself.
    bytes: Vec<u8>,
    /// The request's path ended in a slash: a directory is meant.
    pub(crate) is_folder: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadPath {
    /// Nobody writes such a path in good faith.
    Malformed,
    /// Files that are not for the public, as if they were not there.
    Hidden,
}

/// Decodes the part of a request's path after the route's prefix.
pub(crate) fn decode(path: &str) -> Result<FilePath, BadPath> {
    let mut bytes = Vec::with_capacity(path.len());
    for (place, part) in path.split('/').filter(|part| !part.is_empty()).enumerate() {
        if place > 0 {
            bytes.push(b'/');
        }
        let start = bytes.len();
        decode_part(part, &mut bytes)?;
        match &bytes[start..] {
            b"." | b".." | b"" => return Err(BadPath::Malformed),
            b".well-known" if place == 0 => {}
            [b'.', ..] => return Err(BadPath::Hidden),
            name if name.len() > 255 => return Err(BadPath::Hidden),
            _ => {}
        }
    }
    Ok(FilePath { bytes, is_folder: path.is_empty() || path.ends_with('/') })
}

fn decode_part(part: &str, out: &mut Vec<u8>) -> Result<(), BadPath> {
    let digit = |byte: Option<u8>| byte.and_then(|b| (b as char).to_digit(16));
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        let decoded = match byte {
            b'%' => match (digit(bytes.next()), digit(bytes.next())) {
                (Some(high), Some(low)) => (high << 4 | low) as u8,
                _ => return Err(BadPath::Malformed),
            },
            plain => plain,
        };
        // An encoded slash would make two parts of one; a backslash is a slash to browsers.
        if decoded < 0x20 || matches!(decoded, 0x7f | b'/' | b'\\') {
            return Err(BadPath::Malformed);
        }
        out.push(decoded);
    }
    Ok(())
}

impl FilePath {
    pub(crate) fn name(&self) -> &[u8] {
        self.bytes.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }

    pub(crate) fn has_extension(&self) -> bool {
        self.name().contains(&b'.')
    }

    /// Never empty, so that the root opens too.
    pub(crate) fn as_path(&self) -> &Path {
        let bytes: &[u8] = if self.bytes.is_empty() { b"." } else { &self.bytes };
        Path::new(OsStr::from_bytes(bytes))
    }

    pub(crate) fn child(&self, name: &str) -> FilePath {
        let mut bytes = self.bytes.clone();
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name.as_bytes());
        FilePath { bytes, is_folder: false }
    }

    /// The same path with something after its last name: `about` and `.html`.
    pub(crate) fn with(&self, suffix: &str) -> FilePath {
        let mut bytes = self.bytes.clone();
        bytes.extend_from_slice(suffix.as_bytes());
        FilePath { bytes, is_folder: false }
    }
}
