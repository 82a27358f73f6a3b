// SPDX-License-Identifier: Apache-2.0
//! `app export|import`: an app with all it has in one file, from one server to another that knows nothing of it.
//!
//! The file is a tar archive of a repository with one backup in it, as `backup` makes them, and of the key that opens it:
//! restic alone can read it, and whoever has the file has everything the app knows.

use super::manifest::{self, Manifest};
use super::restore::Work;
use super::{create, import as known, target};
use crate::server::{Server, internal};
use crate::verb;
use hop3_core::api::AppInfo;
use hop3_core::backup::BackupNews;
use hop3_core::driver::BackupPlace;
use hop3_core::name::AppName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::secret::Secret;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

const KEY: &str = "key";
const REPOSITORY: &str = "repository";

/// Nobody listens to how far it is.
fn quiet(_news: BackupNews) {}

/// Writes an app to a file.
pub(crate) fn export(server: &Arc<Server>, name: &AppName, to: &mut dyn Write) -> Result<(), Problem> {
    crate::disk::require_room(&server.layout)?;
    let app = server.app(name)?;
    let staging = server.layout.backup_staging(&format!("export-{name}-{}", crate::store::now_ms()));
    let key = target::new_key()?;
    let made = place(server, &staging, &key).and_then(|place| {
        server.drivers.backups.prepare(&place)?;
        create::aside(server, &app, place, &quiet)?;
        own(server, &staging)?;
        pack(&staging, &key, to).map_err(internal)
    });
    server.drivers.runner.remove(&staging)?;
    made
}

fn place(server: &Server, staging: &Path, key: &str) -> Result<BackupPlace, Problem> {
    Ok(BackupPlace {
        location: Secret::new(staging.join(REPOSITORY).to_string_lossy().into_owned()),
        env: Secret::new(BTreeMap::new()),
        key: Secret::new(key.to_owned()),
        user: Some(target::engine(server)?.0),
        upload_kib: None,
    })
}

/// Makes what lies there the server's own.
fn own(server: &Server, directory: &Path) -> Result<(), Problem> {
    let runner = &server.drivers.runner;
    let user = rustix::process::getuid().as_raw();
    runner.give(directory, runner.is_privileged().then_some(user))
}

fn pack(staging: &Path, key: &str, to: &mut dyn Write) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(to);
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(key.len() as u64);
    archive.append_data(&mut header, KEY, key.as_bytes())?;
    archive.append_dir_all(REPOSITORY, staging.join(REPOSITORY))?;
    archive.into_inner()?.flush()
}

/// Makes an app of a file.
pub(crate) fn import(
    server: &Arc<Server>,
    new_name: Option<&AppName>,
    from: &mut dyn Read,
) -> Result<AppInfo, Problem> {
    crate::disk::require_room(&server.layout)?;
    let staging = server.layout.backup_staging(&format!("import-{}", crate::store::now_ms()));
    let made = unpack(&staging, from).and_then(|key| restore(server, &staging, &key, new_name));
    server.drivers.runner.remove(&staging)?;
    verb::app::info(server, &made?)
}

/// Writes the files of the archive beneath the directory, and gives the key. Anything else in it is refused.
fn unpack(staging: &Path, from: &mut dyn Read) -> Result<String, Problem> {
    let damaged = |e: std::io::Error| no_parcel(&e.to_string());
    fs::create_dir_all(staging).map_err(internal)?;
    let mut archive = tar::Archive::new(from);
    let mut key = String::new();
    for member in archive.entries().map_err(damaged)? {
        let mut member = member.map_err(damaged)?;
        let path = member.path().map_err(damaged)?.into_owned();
        let kind = member.header().entry_type();
        match (kind.is_file(), kind.is_dir()) {
            (true, _) if path == Path::new(KEY) => {
                member.by_ref().take(1024).read_to_string(&mut key).map_err(damaged)?;
            }
            (true, _) | (_, true) if is_inside(&path) => {
                let place = staging.join(&path);
                place.parent().map_or(Ok(()), fs::create_dir_all).map_err(internal)?;
                if kind.is_dir() {
                    fs::create_dir_all(&place).map_err(internal)?;
                } else {
                    let mut file = fs::File::create_new(&place).map_err(internal)?;
                    std::io::copy(&mut member, &mut file).map_err(damaged)?;
                }
            }
            _ => return Err(no_parcel(&format!("it has {}", path.display().to_string().escape_debug()))),
        }
    }
    if key.is_empty() { Err(no_parcel("it has no key")) } else { Ok(key) }
}

/// `repository/…`, and nothing that leads elsewhere.
fn is_inside(path: &Path) -> bool {
    let mut parts = path.components();
    parts.next() == Some(Component::Normal(REPOSITORY.as_ref()))
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn no_parcel(why: &str) -> Problem {
    Problem::new(Kind::User, "app.bad-file", "this is no file that hop3 app export wrote, or not all of it")
        .detail(why)
        .hint("write it again on the other server: hop3 app export NAME FILE")
}

fn restore(
    server: &Arc<Server>,
    staging: &Path,
    key: &str,
    new_name: Option<&AppName>,
) -> Result<AppName, Problem> {
    let place = place(server, staging, key)?;
    let backups = &server.drivers.backups;
    // The user of backups reads it.
    let runner = &server.drivers.runner;
    runner.give(staging, place.user.filter(|_| runner.is_privileged()))?;
    backups.prepare(&place)?;
    let all = backups.list(&place, &["hop3".to_owned()])?;
    let is_manifest = |tags: &[String]| tags.iter().any(|tag| tag == "part=manifest");
    let found = all.iter().find(|snapshot| is_manifest(&snapshot.tags));
    let backup = found.and_then(|found| known::backup("parcel", found, &all));
    let backup = backup.ok_or_else(|| no_parcel("there is no app in it"))?;
    let (manifest, was) = read(server, &place, &backup.manifest)?;
    let moved = (was != server.layout.root()).then_some(was);
    let files = server.layout.backup_staging(&format!("{}-files", backup.info.id));
    let work = Work { server, backup, place, manifest, staging: files, tell: &quiet };
    let made = work.app(None).and_then(|saved| {
        let name = new_name.unwrap_or(&saved.name).clone();
        if server.store.app(&name).map_err(internal)?.is_some() {
            let title = format!("there is an app \"{name}\" already");
            let problem = Problem::new(Kind::Conflict, "app.exists", title);
            return Err(problem.hint("give this one another name: hop3 app import FILE --as NAME"));
        }
        work.whole(saved, new_name, moved.as_deref())?;
        Ok(name)
    });
    server.drivers.runner.remove(&work.staging)?;
    made
}

/// The manifest, with paths of the root that it was made in turned into those of this one; and that root.
fn read(server: &Server, place: &BackupPlace, snapshot: &str) -> Result<(Manifest, PathBuf), Problem> {
    let mut text = Vec::new();
    server.drivers.backups.dump(place, snapshot, Path::new(manifest::FILE), &mut text)?;
    let was = manifest::parse(&text)?.root;
    let text = String::from_utf8(text).map_err(internal)?;
    let slashed = |root: &Path| format!("{}/", root.display());
    let here = text.replace(&slashed(&was), &slashed(server.layout.root()));
    Ok((manifest::parse(here.as_bytes())?, was))
}
