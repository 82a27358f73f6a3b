// SPDX-License-Identifier: Apache-2.0
//! `plugin bundle`, `plugin key`: who vouches for a plugin. Private keys never leave the machine of their owner.

use crate::client::encode;
use crate::context::Context;
use crate::pack::pack;
use crate::problem;
use crate::render::{Table, clean, clock};
use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use hop3_core::Problem;
use hop3_core::name::PluginName;
use hop3_core::plugin::{
    BUNDLE_MANIFEST, BUNDLE_SIGNATURE, BundleManifest, BundledFile, PROGRAM_PREFIX, PluginKey,
    TrustKeyRequest,
};
use hyper::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Make a signed bundle of a plugin's folder
#[derive(Args, Debug)]
pub struct BundleArgs {
    dir: PathBuf,
    /// The file with your private key, from `hop3 plugin key create`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The file to write; NAME.hop3plugin unless set
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Make keys that sign bundles, and say whose are trusted
#[derive(Subcommand, Debug)]
pub enum KeyCommand {
    /// Make a key; the file is yours alone, the public key that is printed is for others
    Create {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Take bundles that were signed with a key
    Trust {
        /// Whose it is
        name: String,
        /// As `hop3 plugin key create` printed it
        public_key: String,
    },
    /// List the keys whose bundles are taken
    List,
    /// Take no more bundles of a key
    Remove { name: String },
}

pub(super) fn key(command: KeyCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        KeyCommand::Create { file } => create(&file, cx)?,
        KeyCommand::Trust { name, public_key } => {
            let request = TrustKeyRequest { name: name.clone(), public_key };
            let keys: Vec<PluginKey> = cx.client()?.send(Method::POST, "/api/plugin-keys", &request)?;
            cx.answer(&keys, |_| format!("bundles of {} are taken\n", clean(&name)));
        }
        KeyCommand::List => {
            let keys: Vec<PluginKey> = cx.client()?.get("/api/plugin-keys")?;
            cx.answer(&keys, |cx| {
                let mut table = Table::new(["KEY", "PUBLIC KEY", "TRUSTED SINCE"]);
                for key in &keys {
                    table.row([key.name.clone(), key.public_key.clone(), clock(key.created_ms, &cx.zone())]);
                }
                table.render(cx.style())
            });
        }
        KeyCommand::Remove { name } => {
            cx.client()?.delete(&format!("/api/plugin-keys/{}", encode(&name)))?;
            cx.say(&format!("bundles of {name} are taken no more"));
        }
    }
    Ok(())
}

fn create(file: &Path, cx: &mut Context) -> Result<(), Problem> {
    let pair =
        Ed25519KeyPair::generate().map_err(|_| problem::system("making a key", "no random numbers"))?;
    let private: Pkcs8V1Der<'_> =
        pair.as_der().map_err(|_| problem::system("making a key", "it cannot be written"))?;
    let public = STANDARD.encode(pair.public_key().as_ref());
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| file.write_all(private.as_ref()))
        .map_err(|error| problem::unwritable(file, &error))?;
    cx.answer(&json!({ "public_key": public }), |_| format!("{public}\n"));
    Ok(())
}

pub(super) fn bundle(args: BundleArgs, cx: &mut Context) -> Result<(), Problem> {
    let key = fs::read(&args.key).map_err(|error| problem::unreadable(&args.key, &error))?;
    let pair = Ed25519KeyPair::from_pkcs8(&key).map_err(|_| problem::not_a_key(&args.key))?;
    // What is signed is what is packed: the same walk, the same rules.
    let mut folder = Vec::new();
    pack(&args.dir, &mut folder)?;
    let files = listed(&folder).map_err(|error| problem::unreadable(&args.dir, &error))?;
    let plugin: PluginName = name_of(&files).ok_or_else(|| problem::not_a_plugin(&args.dir))?.parse()?;
    let out = args.out.unwrap_or_else(|| PathBuf::from(format!("{plugin}.hop3plugin")));
    let manifest = format!("{:#}\n", json!(BundleManifest { plugin: plugin.clone(), files }));
    let signature = STANDARD.encode(pair.sign(manifest.as_bytes()).as_ref());
    write(&out, &folder, [(BUNDLE_MANIFEST, manifest), (BUNDLE_SIGNATURE, signature)])
        .map_err(|error| problem::unwritable(&out, &error))?;
    cx.answer(&out, |_| format!("wrote {}\n", out.display()));
    Ok(())
}

/// Files of a tar with their digests; anything else cannot be signed.
fn listed(folder: &[u8]) -> io::Result<BTreeMap<String, BundledFile>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(folder).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        if !entry.header().entry_type().is_file() {
            return Err(io::Error::other(format!("{path} is a link; a bundle holds files only")));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        let sha256 = digest::digest(&digest::SHA256, &bytes);
        let sha256 = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        files.insert(path, BundledFile { sha256, executable: entry.header().mode()? & 0o111 != 0 });
    }
    Ok(files)
}

fn name_of(files: &BTreeMap<String, BundledFile>) -> Option<String> {
    files.keys().find_map(|path| path.strip_prefix(PROGRAM_PREFIX)).map(str::to_owned)
}

/// The folder's files and two more.
fn write(out: &Path, folder: &[u8], more: [(&str, String); 2]) -> io::Result<()> {
    let mut tar = tar::Builder::new(File::create(out)?);
    for entry in tar::Archive::new(folder).entries()? {
        let mut entry = entry?;
        let (path, mut header) = (entry.path()?.into_owned(), entry.header().clone());
        tar.append_data(&mut header, path, &mut entry)?;
    }
    for (name, text) in more {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes())?;
    }
    tar.finish()
}
