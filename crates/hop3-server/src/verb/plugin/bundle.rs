// SPDX-License-Identifier: Apache-2.0
//! Signed bundles: whose they are, and that they hold what was signed and nothing else. And the keys that are trusted.

use crate::server::{Server, internal};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hop3_core::name::PluginName;
use hop3_core::plugin::{
    BUNDLE_MANIFEST, BUNDLE_SIGNATURE, BundleManifest, BundledFile, PluginKey, TrustKeyRequest,
};
use hop3_core::problem::{Kind, Problem};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const KEY_BYTES: usize = 32;
const MAX_NAME: usize = 64;

/// Who signed what was unpacked into a folder; `None` when it is no bundle.
///
/// # Errors
/// `plugin.altered`; `plugin.unknown-key` when none of the trusted keys made the signature.
pub(super) fn signer(server: &Server, folder: &Path, name: &PluginName) -> Result<Option<String>, Problem> {
    let Ok(text) = fs::read(folder.join(BUNDLE_MANIFEST)) else { return Ok(None) };
    let signature = fs::read_to_string(folder.join(BUNDLE_SIGNATURE)).unwrap_or_default();
    let signature = STANDARD.decode(signature.trim()).unwrap_or_default();
    let is_signed = |key: &&(PluginKey, Vec<u8>)| {
        UnparsedPublicKey::new(&ED25519, &key.1).verify(&text, &signature).is_ok()
    };
    let keys = server.store.plugin_keys().map_err(internal)?;
    let Some((key, _)) = keys.iter().find(is_signed) else {
        let title =
            format!("the bundle of the plugin \"{name}\" is signed by nobody whom this server trusts");
        return Err(Problem::new(Kind::Denied, "plugin.unknown-key", title)
            .hint("when you know whose key it is: hop3 plugin key trust NAME PUBLIC-KEY"));
    };
    let manifest: BundleManifest =
        serde_json::from_slice(&text).map_err(|error| altered(name, &error.to_string()))?;
    if manifest.plugin != *name {
        return Err(altered(name, &format!("it was signed as the plugin \"{}\"", manifest.plugin)));
    }
    let mut there = BTreeMap::new();
    walk(folder, "", &mut there).map_err(|error| altered(name, &error.to_string()))?;
    let paths = there.keys().chain(manifest.files.keys());
    match paths.into_iter().find(|path| there.get(*path) != manifest.files.get(*path)) {
        Some(path) => Err(altered(name, &format!("{path} is not what was signed"))),
        None => Ok(Some(key.name.clone())),
    }
}

/// The files of a folder, as a manifest has them.
fn walk(folder: &Path, above: &str, found: &mut BTreeMap<String, BundledFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(above))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if above.is_empty() { name } else { format!("{above}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(folder, &path, found)?;
        } else if !kind.is_file() {
            return Err(io::Error::other(format!("{path} is no file")));
        } else if path != BUNDLE_MANIFEST && path != BUNDLE_SIGNATURE {
            let mut digest = Sha256::new();
            io::copy(&mut fs::File::open(entry.path())?, &mut digest)?;
            let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
            let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            found.insert(path, BundledFile { sha256, executable });
        }
    }
    Ok(())
}

fn altered(name: &PluginName, why: &str) -> Problem {
    let title = format!("the bundle of the plugin \"{name}\" is not as it was signed");
    Problem::new(Kind::Denied, "plugin.altered", title).detail(why).hint("get it again from whoever made it")
}

pub(crate) fn keys(server: &Server) -> Result<Vec<PluginKey>, Problem> {
    Ok(server.store.plugin_keys().map_err(internal)?.into_iter().map(|(key, _)| key).collect())
}

/// Takes bundles that this key signed.
pub(crate) fn trust(server: &Server, request: &TrustKeyRequest) -> Result<Vec<PluginKey>, Problem> {
    let is_name = (1..=MAX_NAME).contains(&request.name.len())
        && request.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@".contains(c));
    let key = STANDARD.decode(request.public_key.trim()).unwrap_or_default();
    if !is_name || key.len() != KEY_BYTES {
        return Err(Problem::new(Kind::User, "plugin.bad-key", "this is no key, or no name for one")
            .hint("hop3 plugin key create prints the public key: 44 letters, digits and signs"));
    }
    if !server.store.add_plugin_key(&request.name, &key).map_err(internal)? {
        return Err(Problem::new(
            Kind::Conflict,
            "plugin.key-exists",
            "the name or the key is trusted already",
        )
        .hint("see them with: hop3 plugin key list"));
    }
    keys(server)
}

/// Takes no more bundles of that key; what is installed stays.
pub(crate) fn distrust(server: &Server, name: &str) -> Result<(), Problem> {
    match server.store.remove_plugin_key(name).map_err(internal)? {
        true => Ok(()),
        false => Err(Problem::new(Kind::NotFound, "plugin.no-key", "there is no such key")
            .hint("see them with: hop3 plugin key list")),
    }
}
