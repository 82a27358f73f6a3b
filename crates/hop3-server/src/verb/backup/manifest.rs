// SPDX-License-Identifier: Apache-2.0
//! The manifest of a backup: everything that is not a file. It is a file of the repository itself, encrypted like the
//! rest, so that a server that is gone can be made again from it.

use super::{service, target};
use crate::server::{Server, internal};
use crate::store::{App, Backup, Release, SleepWish};
use hop3_core::addon::Held;
use hop3_core::backup::{BackupId, BackupInfo, BackupOf};
use hop3_core::layout::Layout;
use hop3_core::name::{
    AddonKind, AddonName, AppName, Domain, DomainPath, EnvKey, ProcessName, VolumeName, VolumePath,
};
use hop3_core::problem::{Kind, Problem};
use hop3_core::release::{Artifact, ReleaseNumber};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Grows when an older Hop3 could not restore what this one writes.
const FORMAT: u32 = 1;

/// The name of the manifest in its snapshot.
pub(super) const FILE: &str = "manifest.json";

#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    pub format: u32,
    pub id: BackupId,
    pub made_ms: u64,
    pub scheduled: bool,
    /// Version of Hop3 that made it.
    pub hop3: String,
    /// Of the whole server.
    pub server: bool,
    /// Where it was made: what was built refers to it.
    pub root: PathBuf,
    pub files: Files,
    pub streams: Vec<Stream>,
    pub apps: Vec<SavedApp>,
    /// What could not be read.
    pub unread: Vec<String>,
}

/// The one snapshot of all directories, and what was counted when it was made. Of an addon by itself there are none.
#[derive(Serialize, Deserialize)]
pub(super) struct Files {
    pub snapshot: String,
    pub files: u64,
    pub bytes: u64,
    pub added_bytes: u64,
    /// Relative to the root.
    pub paths: Vec<PathBuf>,
}

/// What an addon gave of itself, and how to make one like it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Stream {
    pub name: AddonName,
    pub kind: AddonKind,
    pub version: String,
    pub shared: bool,
    pub settings: BTreeMap<String, String>,
    pub snapshot: String,
    pub bytes: u64,
    /// What was counted at the moment it is of; not known of some kinds, and of what earlier versions saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SavedBinding {
    pub addon: AddonName,
    pub prefix: String,
    pub slot: String,
    pub is_primary: bool,
}

/// An app as the store has it.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedApp {
    pub id: i64,
    pub name: AppName,
    pub branch: String,
    pub stopped: bool,
    pub scale: BTreeMap<ProcessName, u32>,
    pub sleep: SleepWish,
    pub domains: Vec<Domain>,
    pub mounts: Vec<DomainPath>,
    pub proxy: BTreeMap<String, Value>,
    pub config: BTreeMap<EnvKey, String>,
    pub bindings: Vec<SavedBinding>,
    /// Those that it owns.
    pub volumes: Vec<SavedVolume>,
    pub release: Option<SavedRelease>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SavedVolume {
    pub name: VolumeName,
    pub path: VolumePath,
    pub size_bytes: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SavedRelease {
    pub number: ReleaseNumber,
    pub reason: String,
    pub created_ms: u64,
    pub config: BTreeMap<EnvKey, String>,
    pub artifact: Artifact,
}

impl Manifest {
    pub(super) fn new(id: BackupId, root: &Path, files: Files, server: bool) -> Manifest {
        Manifest {
            format: FORMAT,
            id,
            made_ms: crate::store::now_ms(),
            scheduled: false,
            hop3: env!("CARGO_PKG_VERSION").to_owned(),
            server,
            root: root.to_owned(),
            files,
            streams: Vec::new(),
            apps: Vec::new(),
            unread: Vec::new(),
        }
    }
}

impl Manifest {
    /// What lists tell of it, kept in that target.
    pub(super) fn info(&self, target: String, of: &BackupOf) -> BackupInfo {
        let of_addons: u64 = self.streams.iter().map(|stream| stream.bytes).sum();
        BackupInfo {
            id: self.id.clone(),
            target,
            app: of.app(),
            addon: of.addon(),
            made_ms: self.made_ms,
            files: self.files.files + self.streams.len() as u64,
            bytes: self.files.bytes + of_addons,
            added_bytes: self.files.added_bytes,
            scheduled: self.scheduled,
            proven_ms: None,
            digest: None,
            problem: None,
        }
    }
}

impl SavedApp {
    pub(super) fn of(server: &Server, app: &App, release: Option<&Release>) -> anyhow::Result<SavedApp> {
        let store = &server.store;
        Ok(SavedApp {
            id: app.id,
            name: app.name.clone(),
            branch: app.branch.clone(),
            stopped: app.stopped,
            scale: app.scale.clone(),
            sleep: app.sleep.clone(),
            domains: store.domains(app)?,
            mounts: store.mounts(app)?,
            proxy: store.proxy_settings(app)?.into_iter().collect(),
            config: store.config(app)?,
            bindings: service::bindings(server, app)?,
            volumes: volumes(server, app)?,
            release: release.map(|release| SavedRelease {
                number: release.number,
                reason: release.reason.clone(),
                created_ms: release.created_ms,
                config: release.config.expose().clone(),
                artifact: release.artifact.clone(),
            }),
        })
    }

    /// Its parts in that backup, for people.
    pub(super) fn parts(&self, manifest: &Manifest) -> Vec<String> {
        let own = PathBuf::from("apps").join(self.name.as_str());
        let has = |name: &str| manifest.files.paths.contains(&own.join(name));
        let mut parts: Vec<String> = Vec::new();
        parts.extend(has("data").then(|| "data".to_owned()));
        parts.extend(has("repo.git").then(|| "repo".to_owned()));
        parts.extend(self.release.is_some().then(|| "release".to_owned()));
        parts.extend(self.volumes.iter().map(|volume| format!("volume:{}", volume.name)));
        let is_saved = |name: &AddonName| manifest.streams.iter().any(|stream| stream.name == *name);
        let addons = self.bindings.iter().map(|binding| &binding.addon).filter(|name| is_saved(name));
        parts.extend(addons.map(|name| format!("addon:{name}")));
        parts
    }
}

fn volumes(server: &Server, app: &App) -> anyhow::Result<Vec<SavedVolume>> {
    let owned = server.store.attached(app)?.into_iter().filter(|attached| attached.is_owner);
    let saved = owned.map(|attached| SavedVolume {
        name: attached.volume.name,
        path: attached.path,
        size_bytes: attached.volume.size_bytes,
    });
    Ok(saved.collect())
}

/// What a release needs to run again without a build, by its paths.
pub(super) fn built(layout: &Layout, artifact: &Artifact) -> Vec<PathBuf> {
    let mut paths = vec![layout.artifact(&artifact.id)];
    paths.extend(artifact.layers.values().map(|digest| layout.layer(digest)));
    let obtained = artifact.toolchains.values().map(|found| found.prefix.clone());
    paths.extend(obtained.filter(|prefix| prefix.starts_with(layout.toolchains())));
    paths
}

/// Takes the manifest out of the repository.
pub(super) fn read(server: &Server, backup: &Backup) -> Result<Manifest, Problem> {
    let place = target::place(server, Some(&backup.info.target))?.1;
    let mut text = Vec::new();
    server.drivers.backups.dump(&place, &backup.manifest, Path::new(FILE), &mut text)?;
    parse(&text)
}

pub(super) fn parse(text: &[u8]) -> Result<Manifest, Problem> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let version: Version = serde_json::from_slice(text).map_err(internal)?;
    if version.format > FORMAT {
        let title = "the backup was made by a newer Hop3";
        return Err(Problem::new(Kind::Conflict, "backup.newer", title).hint("upgrade this one first"));
    }
    serde_json::from_slice(text).map_err(internal)
}
