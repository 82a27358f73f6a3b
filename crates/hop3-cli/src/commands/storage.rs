// SPDX-License-Identifier: Apache-2.0
//! `storage`: volumes, directories that outlive releases and apps.

use super::carry;
use crate::context::{AppArg, Context};
use crate::problem;
use crate::render::{snapshot_table, volume_table};
use clap::Subcommand;
use hop3_core::Problem;
use hop3_core::api::{
    AttachVolumeRequest, CreateVolumeRequest, DestroyVolumeRequest, DetachVolumeRequest, ReleaseMade,
    SnapshotVolumeRequest, VolumeInfo,
};
use hop3_core::name::{SnapshotName, VolumeName};
use hyper::Method;
use serde_json::Value;
use std::path::PathBuf;

/// Volumes: directories that outlive releases and apps
#[derive(Subcommand, Debug)]
pub enum StorageCommand {
    /// Make an empty volume
    Create {
        name: String,
        /// How much it should hold at most, for example 2g; from 90 % on it is told
        #[arg(long, value_name = "SIZE")]
        size: Option<String>,
    },
    /// Let an app see a volume; the first app owns it, others read
    Attach {
        name: String,
        #[command(flatten)]
        app: AppArg,
        /// Where: a directory of the app such as uploads, or one at the top such as /data
        #[arg(long, value_name = "PATH")]
        path: String,
    },
    /// Let an app see a volume no longer; what it holds stays
    Detach {
        name: String,
        #[command(flatten)]
        app: AppArg,
    },
    /// List all volumes
    List,
    /// Show everything about a volume
    Info { name: String },
    /// Write all that a volume holds to a file, as a tar archive
    Export {
        name: String,
        /// The file; - is standard output
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Replace all that a volume holds by a tar archive
    Import {
        name: String,
        /// The file; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The volume's name again, for scripts
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Keep what a volume holds now beside it, sharing its blocks; needs btrfs or XFS
    Snapshot {
        name: String,
        /// What to call it; the time when nothing is said
        #[arg(long = "as", value_name = "SNAPSHOT")]
        called: Option<String>,
    },
    /// Replace all that a volume holds by what it held at a snapshot
    Restore {
        name: String,
        snapshot: String,
        /// The volume's name again, for scripts
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Remove a snapshot
    Forget { name: String, snapshot: String },
    /// Destroy a volume; for seven days it can be brought back
    Destroy {
        name: String,
        /// The volume's name again, for scripts
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
        /// At once and for good
        #[arg(long)]
        now: bool,
    },
    /// Bring back a volume that was destroyed
    Recover { name: String },
}

pub(crate) fn run(command: StorageCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        StorageCommand::Create { name, size } => create(name.parse()?, size.as_deref(), cx),
        StorageCommand::Attach { name, app, path } => {
            let request = AttachVolumeRequest { app: cx.app(&app)?, path: path.parse()? };
            let said = format!("{} sees {name} at {}", request.app, request.path);
            release(&name.parse()?, "attach", &request, &said, cx)
        }
        StorageCommand::Detach { name, app } => {
            let request = DetachVolumeRequest { app: cx.app(&app)? };
            let said = format!("{} no longer sees {name}", request.app);
            release(&name.parse()?, "detach", &request, &said, cx)
        }
        StorageCommand::List => list(cx),
        StorageCommand::Info { name } => {
            let info: VolumeInfo = cx.client()?.get(&of(&name.parse()?))?;
            tell(&info, cx);
            Ok(())
        }
        StorageCommand::Export { name, file } => {
            let name: VolumeName = name.parse()?;
            carry::export(&of(&name), name.as_str(), &file, cx)
        }
        StorageCommand::Import { name, file, confirm } => {
            let name: VolumeName = name.parse()?;
            carry::import::<VolumeInfo>(&of(&name), name.as_str(), &file, confirm, cx)
        }
        StorageCommand::Snapshot { name, called } => snapshot(&name.parse()?, called.as_deref(), cx),
        StorageCommand::Restore { name, snapshot, confirm } => {
            restore(&name.parse()?, &snapshot.parse()?, confirm, cx)
        }
        StorageCommand::Forget { name, snapshot } => {
            let (name, snapshot) = (name.parse()?, snapshot.parse()?);
            let info: VolumeInfo =
                cx.client()?.send(Method::DELETE, &of_snapshot(&name, &snapshot), &Value::Null)?;
            cx.answer(&info, |_| format!("{name} has no snapshot {snapshot} any more\n"));
            Ok(())
        }
        StorageCommand::Destroy { name, confirm, now } => destroy(&name.parse()?, confirm, now, cx),
        StorageCommand::Recover { name } => {
            let path = of(&name.parse()?) + "/recover";
            let info: VolumeInfo = cx.client()?.send(Method::POST, &path, &Value::Null)?;
            cx.answer(&info, |_| format!("{} is back\n", info.name));
            Ok(())
        }
    }
}

fn of(name: &VolumeName) -> String {
    format!("/api/storage/{name}")
}

fn create(name: VolumeName, size: Option<&str>, cx: &mut Context) -> Result<(), Problem> {
    let parse = |text| {
        hop3_core::config::bytes(text)
            .ok_or_else(|| problem::bad_argument("a size", text, "write a number and k, m or g: 2g"))
    };
    let request = CreateVolumeRequest { name, size_bytes: size.map(parse).transpose()? };
    let info: VolumeInfo = cx.client()?.send(Method::POST, "/api/storage", &request)?;
    cx.answer(&info, |_| {
        let name = &info.name;
        format!("{name} is there\nlet an app see it with: hop3 storage attach {name} -a APP --path PATH\n")
    });
    Ok(())
}

fn release(
    name: &VolumeName,
    verb: &str,
    request: &impl serde::Serialize,
    said: &str,
    cx: &mut Context,
) -> Result<(), Problem> {
    let made: ReleaseMade = cx.client()?.send(Method::POST, &format!("{}/{verb}", of(name)), request)?;
    let release = made.release.map(|release| format!(" ({release})")).unwrap_or_default();
    cx.answer(&made, |_| format!("{said}{release}\n"));
    Ok(())
}

fn list(cx: &mut Context) -> Result<(), Problem> {
    let volumes: Vec<VolumeInfo> = cx.client()?.get("/api/storage")?;
    cx.answer(&volumes, |cx| match volumes.is_empty() {
        true => "there are no volumes yet; make one with: hop3 storage create NAME\n".to_owned(),
        false => volume_table(&volumes, &cx.zone(), cx.style()),
    });
    Ok(())
}

fn tell(info: &VolumeInfo, cx: &mut Context) {
    cx.answer(info, |cx| {
        let table = volume_table(std::slice::from_ref(info), &cx.zone(), cx.style());
        let snapshots = match info.snapshots.is_empty() {
            true => String::new(),
            false => format!("\n{}", snapshot_table(&info.snapshots, &cx.zone(), cx.style())),
        };
        format!("{table}it lies in {} on the server\n{snapshots}", crate::render::clean(&info.directory))
    });
}

fn of_snapshot(name: &VolumeName, snapshot: &SnapshotName) -> String {
    format!("{}/snapshots/{snapshot}", of(name))
}

fn snapshot(name: &VolumeName, called: Option<&str>, cx: &mut Context) -> Result<(), Problem> {
    let request = SnapshotVolumeRequest { name: called.map(str::parse).transpose()? };
    let info: VolumeInfo = cx.client()?.send(Method::POST, &(of(name) + "/snapshots"), &request)?;
    let made = info.snapshots.last().map(|snapshot| snapshot.name.to_string()).unwrap_or_default();
    cx.answer(&info, |_| {
        format!(
            "{name} as it is now is kept as {made}\nbring it back with: hop3 storage restore {name} {made}\n"
        )
    });
    Ok(())
}

fn restore(
    name: &VolumeName,
    snapshot: &SnapshotName,
    confirm: Option<String>,
    cx: &mut Context,
) -> Result<(), Problem> {
    cx.confirm(&format!("This replaces all that {name} holds."), name.as_str(), confirm)?;
    let path = of_snapshot(name, snapshot) + "/restore";
    let info: VolumeInfo = cx.client()?.send(Method::POST, &path, &Value::Null)?;
    cx.answer(&info, |_| format!("{name} holds what it held at {snapshot}\n"));
    Ok(())
}

fn destroy(name: &VolumeName, confirm: Option<String>, now: bool, cx: &mut Context) -> Result<(), Problem> {
    let confirm = carry::confirm_destroying(name.as_str(), now, confirm, cx)?;
    let request = DestroyVolumeRequest { confirm, now };
    let answer: Value = cx.client()?.send(Method::DELETE, &of(name), &request)?;
    cx.answer(&answer, |_| match now {
        true => format!("{name} is gone\n"),
        false => format!(
            "{name} is destroyed; bring it back within seven days with: hop3 storage recover {name}\n"
        ),
    });
    Ok(())
}
