// SPDX-License-Identifier: Apache-2.0
//! `storage attach|detach`, and what `[[volumes]]` asks for at a deployment.

use super::create::{forget, give, make};
use super::{find, find_any};
use crate::deploy::{self, Change, Context};
use crate::server::{Server, internal};
use crate::store::{App, Attached, Volume};
use crate::verb::change::{changing, with_lock};
use hop3_core::api::{AttachVolumeRequest, DetachVolumeRequest, ReleaseMade};
use hop3_core::event::Event;
use hop3_core::name::{VolumeName, VolumePath};
use hop3_core::problem::{Kind, Problem};
use hop3_core::settings::VolumeSettings;
use std::sync::Arc;

pub(crate) fn attach(
    server: &Arc<Server>,
    name: &VolumeName,
    request: &AttachVolumeRequest,
) -> Result<ReleaseMade, Problem> {
    with_lock(server, &request.app, |app| {
        let before = server.volume_turn(name, || {
            let volume = find(server, name)?;
            let before = attachment(server, &app, &volume)?;
            place(server, &app, &volume, &request.path)?;
            Ok(before)
        })?;
        if before.as_ref().is_some_and(|before| before.path == request.path) {
            return Ok(ReleaseMade { release: None });
        }
        let made = tell(server, &app, &format!("Attach {name}"));
        if made.is_err() {
            put_back(server, &app, name, before.as_ref())?;
        }
        made
    })
}

fn attachment(server: &Server, app: &App, volume: &Volume) -> Result<Option<Attached>, Problem> {
    let all = server.store.attached(app).map_err(internal)?;
    Ok(all.into_iter().find(|attached| attached.volume.id == volume.id))
}

/// Attaches without a release. The caller holds the app's lock and has the volume's turn.
fn place(server: &Server, app: &App, volume: &Volume, path: &VolumePath) -> Result<(), Problem> {
    let name = &volume.name;
    if !server.store.attach(app, volume, path).map_err(internal)? {
        let title = format!("another volume of {} is at {path}", app.name);
        return Err(Problem::new(Kind::Conflict, "storage.path-taken", title)
            .hint(format!("hop3 storage attach {name} -a {} --path OTHER", app.name)));
    }
    let owns = attachment(server, app, volume)?.is_some_and(|attached| attached.is_owner);
    if owns && volume.uid != app.uid() {
        give(server, volume, app.uid())?;
        server.store.set_volume_owner(volume, app.uid()).map_err(internal)?;
    }
    server.record(Some(app), None, Event::VolumeAttached { volume: name.clone(), path: path.clone() });
    Ok(())
}

fn put_back(server: &Server, app: &App, name: &VolumeName, before: Option<&Attached>) -> Result<(), Problem> {
    match before {
        Some(before) => server.store.reattach(app, before).map_err(internal),
        None => server.store.detach(app, &find_any(server, name)?).map_err(internal).map(drop),
    }
}

pub(crate) fn detach(
    server: &Arc<Server>,
    name: &VolumeName,
    request: &DetachVolumeRequest,
) -> Result<ReleaseMade, Problem> {
    with_lock(server, &request.app, |app| {
        let volume = find_any(server, name)?;
        let before = attachment(server, &app, &volume)?.ok_or_else(|| {
            let title = format!("{name} is not attached to {}", app.name);
            Problem::new(Kind::Conflict, "storage.not-attached", title)
                .hint(format!("see who sees it: hop3 storage info {name}"))
        })?;
        server.store.detach(&app, &volume).map_err(internal)?;
        let made = tell(server, &app, &format!("Detach {name}"));
        match &made {
            Ok(_) => server.record(Some(&app), None, Event::VolumeDetached { volume: name.clone() }),
            Err(_) => server.store.reattach(&app, &before).map_err(internal)?,
        }
        made
    })
}

/// A release of the app that sees its volumes as they are now; none when it does not run. The caller holds its lock.
fn tell(server: &Arc<Server>, app: &App, reason: &str) -> Result<ReleaseMade, Problem> {
    if app.current.is_none() || app.stopped {
        return Ok(ReleaseMade { release: None });
    }
    let change = Change::Addons { reason: reason.to_owned() };
    let release = changing(Context::new(server, app.clone(), None), |cx| deploy::redeploy(cx, change))?;
    Ok(ReleaseMade { release: Some(release) })
}

/// Makes and attaches what the files of an app ask for. One that the app saw before under another app's life is
/// taken up again: a volume is not destroyed with its app. The undo of a deployment takes back what is new.
pub(crate) fn wanted(cx: &Context<'_>, settings: &VolumeSettings) -> Result<(), Problem> {
    let (server, app) = (cx.server, &cx.app);
    let attached = server.store.attached(app).map_err(internal)?;
    // By its name first: the app may have been renamed since.
    let suffix = format!("-{}", settings.name);
    let own = attached
        .iter()
        .find(|attached| attached.is_owner && attached.volume.name.as_str().ends_with(&suffix));
    let name: VolumeName = match own {
        Some(own) => own.volume.name.clone(),
        None => format!("{}-{}", app.name, settings.name).parse()?,
    };
    server.volume_turn(&name, || {
        let (volume, is_new) = match server.store.volume(&name).map_err(internal)? {
            Some(_) => (find(server, &name)?, false),
            None => (make(server, &name, settings.size_bytes)?, true),
        };
        let before = attachment(server, app, &volume)?;
        let (owner, again) = (Arc::clone(server), (app.clone(), before.clone(), volume.clone()));
        cx.undo(format!("take back the volume {name}"), move || {
            let (app, before, volume) = again;
            put_back(&owner, &app, &volume.name, before.as_ref())?;
            if is_new { owner.volume_turn(&volume.name, || forget(&owner, &volume)) } else { Ok(()) }
        });
        if before.is_none() && !server.store.apps_of_volume(&volume).map_err(internal)?.is_empty() {
            let title = format!("the volume {name} belongs to another app");
            return Err(Problem::new(Kind::Conflict, "storage.taken", title)
                .hint(format!("see which: hop3 storage info {name}")));
        }
        if volume.size_bytes != settings.size_bytes && settings.size_bytes.is_some() {
            server.store.set_volume_size(&volume, settings.size_bytes).map_err(internal)?;
        }
        if before.is_some_and(|before| before.path == settings.path) {
            return Ok(());
        }
        place(server, app, &volume, &settings.path)?;
        cx.say(&format!("volume {name} at {}", settings.path));
        Ok(())
    })
}
