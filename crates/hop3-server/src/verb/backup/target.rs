// SPDX-License-Identifier: Apache-2.0
//! `backup targets list|add|remove`, `backup key`: where backups go, and what opens them.

use super::import;
use crate::server::{Server, internal};
use crate::store::{Target, TargetBody};
use hop3_core::backup::{AddBackupTargetRequest, BackupKey, BackupTargetInfo, is_path, shown_location};
use hop3_core::driver::BackupPlace;
use hop3_core::name::EnvKey;
use hop3_core::problem::{Kind, Problem};
use hop3_core::secret::Secret;
use std::collections::BTreeMap;

/// Made at the first backup, on this machine.
pub(super) const LOCAL: &str = "local";

/// Schemes that restic knows.
const SCHEMES: [&str; 9] = ["sftp", "s3", "b2", "rest", "rclone", "azure", "gs", "swift", "local"];

/// Letters of the recovery key, without those that are taken for others.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

pub(crate) fn targets(server: &Server) -> Result<Vec<BackupTargetInfo>, Problem> {
    let backups = server.store.backups().map_err(internal)?;
    let told = |target: Target| BackupTargetInfo {
        location: shown_location(&target.body.location),
        env: target.body.env.into_keys().collect(),
        upload_kib: target.upload_kib,
        backups: backups.iter().filter(|backup| backup.info.target == target.name).count() as u64,
        name: target.name,
    };
    Ok(server.store.backup_targets().map_err(internal)?.into_iter().map(told).collect())
}

/// Adds a target once it is ready to be used.
pub(crate) fn add(server: &Server, request: AddBackupTargetRequest) -> Result<BackupTargetInfo, Problem> {
    check(&request)?;
    let body = TargetBody { location: request.location, env: request.env };
    let target = Target { name: request.name, body, upload_kib: request.upload_kib };
    server.drivers.backups.prepare(&place_of(server, &target)?)?;
    let (name, place) = (target.name.clone(), place_of(server, &target)?);
    insert(server, target)?;
    import::import(server, &name, &place)?;
    let all = targets(server)?;
    all.into_iter().find(|target| target.name == name).ok_or_else(|| unknown(&name))
}

/// Forgets a target. What is kept there stays.
pub(crate) fn remove(server: &Server, name: &str) -> Result<(), Problem> {
    match server.store.remove_backup_target(name).map_err(internal)? {
        true => Ok(()),
        false => Err(unknown(name)),
    }
}

pub(crate) fn key(server: &Server) -> Result<BackupKey, Problem> {
    Ok(BackupKey { key: engine(server)?.1 })
}

/// The target of that name, `local` unless named, and the way there.
pub(super) fn place(server: &Server, name: Option<&str>) -> Result<(String, BackupPlace), Problem> {
    let name = name.unwrap_or(LOCAL);
    let found = |targets: Vec<Target>| targets.into_iter().find(|target| target.name == name);
    let target = match found(server.store.backup_targets().map_err(internal)?) {
        Some(target) => target,
        None if name == LOCAL => local(server)?,
        None => return Err(unknown(name)),
    };
    Ok((target.name.clone(), place_of(server, &target)?))
}

fn local(server: &Server) -> Result<Target, Problem> {
    let location = server.layout.backup_repository().to_string_lossy().into_owned();
    let local = || Target {
        name: LOCAL.to_owned(),
        body: TargetBody { location: location.clone(), env: BTreeMap::new() },
        upload_kib: None,
    };
    server.drivers.backups.prepare(&place_of(server, &local())?)?;
    insert(server, local())?;
    Ok(local())
}

fn insert(server: &Server, target: Target) -> Result<(), Problem> {
    match server.store.add_backup_target(&target).map_err(internal)? {
        true => Ok(()),
        false => {
            let title = format!("there is a backup target \"{}\" already", target.name);
            Err(Problem::new(Kind::Conflict, "backup.target-exists", title)
                .hint("choose another name; see them with: hop3 backup targets list"))
        }
    }
}

fn place_of(server: &Server, target: &Target) -> Result<BackupPlace, Problem> {
    let (uid, key) = engine(server)?;
    Ok(BackupPlace {
        location: Secret::new(target.body.location.clone()),
        env: Secret::new(target.body.env.clone()),
        key: Secret::new(key),
        user: Some(uid),
        upload_kib: target.upload_kib,
    })
}

/// Whom backups run as, and the recovery key; both are made at the first use.
pub(super) fn engine(server: &Server) -> Result<(u32, String), Problem> {
    if server.store.backup_engine().map_err(internal)?.is_none() {
        let uid = server.store.next_uid().map_err(internal)?;
        server.store.create_backup_engine(uid, &new_key()?).map_err(internal)?;
    }
    let engine = server.store.backup_engine().map_err(internal)?;
    let engine = engine.ok_or_else(|| internal(anyhow::anyhow!("the recovery key was not kept")))?;
    Ok((engine.uid, engine.key))
}

/// 160 random bits in eight words that can be written down.
pub(super) fn new_key() -> Result<String, Problem> {
    let bytes = crate::random::bytes::<32>().map_err(internal)?;
    let letters: Vec<char> = bytes.iter().map(|byte| LETTERS[usize::from(byte % 32)] as char).collect();
    Ok(letters.chunks(4).map(|word| word.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

fn check(request: &AddBackupTargetRequest) -> Result<(), Problem> {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if request.name.is_empty() || request.name.len() > 40 || !request.name.chars().all(is_good) {
        let title = format!("\"{}\" cannot be the name of a backup target", request.name);
        return Err(Problem::new(Kind::User, "backup.bad-target", title)
            .hint("use lower-case letters, digits and hyphens"));
    }
    let scheme = request.location.split_once(':').map(|(scheme, _)| scheme);
    let is_known = is_path(&request.location) || scheme.is_some_and(|scheme| SCHEMES.contains(&scheme));
    if !is_known || request.location.chars().any(char::is_control) {
        return Err(Problem::new(Kind::User, "backup.bad-location", "this location is not understood").hint(
            "write a path that begins with /, or sftp:…, s3:…, b2:…, rest:…, rclone:… as restic does",
        ));
    }
    for name in request.env.keys() {
        name.parse::<EnvKey>()?;
    }
    Ok(())
}

fn unknown(name: &str) -> Problem {
    let shown: String = name.chars().take(40).collect();
    Problem::new(Kind::NotFound, "backup.unknown-target", format!("there is no backup target \"{shown}\""))
        .hint("see them with: hop3 backup targets list")
}
