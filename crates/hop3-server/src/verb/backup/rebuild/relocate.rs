// SPDX-License-Identifier: Apache-2.0
//! What names the root it was made for: links and first lines of scripts in what was built, toolchains in releases,
//! targets on this machine.

use super::moved;
use crate::server::Server;
use hop3_core::layout::Layout;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Larger files are no scripts and no settings.
const MOST_BYTES: u64 = 1 << 20;

/// Changes what was built.
pub(in crate::verb::backup) fn files(layout: &Layout, from: &Path) -> io::Result<()> {
    let change = Change { from: slashed(from), to: slashed(layout.root()) };
    [layout.artifacts(), layout.layers(), layout.toolchains()]
        .iter()
        .try_for_each(|place| change.directory(place))
}

/// Changes the store.
pub(super) fn store(server: &Server, from: &Path) -> anyhow::Result<()> {
    let root = server.layout.root();
    server.store.relocate_releases(&from.to_string_lossy(), &root.to_string_lossy())?;
    for target in server.store.backup_targets()? {
        if let Some(place) = moved(&target.body.location, from, root) {
            server.store.move_backup_target(&target, &place.to_string_lossy())?;
        }
    }
    Ok(())
}

fn slashed(path: &Path) -> Vec<u8> {
    [path.as_os_str().as_bytes(), b"/"].concat()
}

struct Change {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Change {
    fn directory(&self, directory: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.metadata()?);
            if kind.is_dir() {
                self.directory(&path)?;
            } else if kind.is_symlink() {
                self.link(&path)?;
            } else if kind.is_file() && kind.len() <= MOST_BYTES {
                self.file(&path, kind.permissions())?;
            }
        }
        Ok(())
    }

    fn link(&self, path: &Path) -> io::Result<()> {
        let target = fs::read_link(path)?;
        let Some(changed) = self.changed(target.as_os_str().as_bytes()) else { return Ok(()) };
        fs::remove_file(path)?;
        std::os::unix::fs::symlink(PathBuf::from(std::ffi::OsString::from_vec(changed)), path)
    }

    /// A text that names the place; what is no text is left as it is.
    fn file(&self, path: &Path, permissions: fs::Permissions) -> io::Result<()> {
        let bytes = fs::read(path)?;
        if bytes.contains(&0) {
            return Ok(());
        }
        let Some(changed) = self.changed(&bytes) else { return Ok(()) };
        // Its owner may have closed it to himself.
        fs::set_permissions(path, fs::Permissions::from_mode(permissions.mode() | 0o200))?;
        fs::write(path, changed)?;
        fs::set_permissions(path, permissions)
    }

    fn changed(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut rest = bytes;
        while let Some(at) = rest.windows(self.from.len()).position(|window| window == self.from) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(&self.to);
            rest = &rest[at + self.from.len()..];
        }
        if rest.len() == bytes.len() {
            return None;
        }
        out.extend_from_slice(rest);
        Some(out)
    }
}
