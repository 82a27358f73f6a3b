// SPDX-License-Identifier: Apache-2.0
//! Hands certificates over to a program that ends TLS in this one's place: one file of PEM for each host, with chain
//! and key, of mode 0600.

use super::internal::LEAF_USE;
use super::resolver::{Resolver, Wanted};
use super::store::{is_name, write_closed};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The first line of what was signed here; readers of PEM pass over it.
const SIGNED: &str = "Signed by the internal authority of Hop3\n";

/// Makes the files those of these hosts, and tells whether any has changed. A host that nobody serves gets none; one
/// whose certificate cannot be read keeps what it has, and holds nobody up.
pub(crate) fn hand(resolver: &Resolver, hosts: &[String]) -> anyhow::Result<bool> {
    let folder = resolver.layout.handed_certificates();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let mut is_changed = false;
    let mut named = BTreeSet::new();
    for host in hosts.iter().filter(|host| is_name(host)) {
        let file = resolver.layout.handed_certificate(host);
        match pem(resolver, host, &file) {
            Ok(Pem::None) => continue,
            Ok(Pem::Same) => {}
            Ok(Pem::New(pem)) => {
                let beside = file.with_extension("new");
                remove(&beside)?;
                write_closed(&beside, pem.as_bytes())?;
                fs::rename(&beside, &file)?;
                is_changed = true;
            }
            Err(error) => {
                tracing::error!(host, error = format!("{error:#}"), "a certificate cannot be handed over");
            }
        }
        named.insert(file);
    }
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if !named.contains(&path) {
            remove(&path)?;
        }
    }
    Ok(is_changed)
}

/// What a host's file shall hold.
enum Pem {
    /// There is nothing for it.
    None,
    Same,
    New(String),
}

fn pem(resolver: &Resolver, host: &str, file: &Path) -> anyhow::Result<Pem> {
    let Some(wanted) = resolver.wanted(&resolver.registry.table(), Some(host)) else { return Ok(Pem::None) };
    let before = fs::read_to_string(file).unwrap_or_default();
    match wanted {
        Wanted::Kept(name, _) => {
            // Removed at this moment: the next time there is another one.
            let Some(kept) = resolver.store.get(&name)? else { return Ok(Pem::Same) };
            let pem = format!("{}\n{}", kept.chain_pem, kept.key_pem.expose());
            Ok(if pem == before { Pem::Same } else { Pem::New(pem) })
        }
        Wanted::Signed(names) => {
            let is_young = || {
                Ok::<_, io::Error>(fs::metadata(file)?.modified()?.elapsed().unwrap_or_default() < LEAF_USE)
            };
            if before.starts_with(SIGNED) && is_young()? {
                return Ok(Pem::Same);
            }
            Ok(Pem::New(format!("{SIGNED}{}", resolver.ca()?.sign_pem(&names)?)))
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
