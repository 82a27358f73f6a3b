// SPDX-License-Identifier: Apache-2.0
//! `git push`: what the git doors ask of the control plane.

use super::app::find_or_create;
use crate::disk;
use crate::git::{Admitted, DeployTarget, GitAccess, HookEnv, Refusal, Service};
use crate::server::{Server, internal};
use crate::store::{App, Grant};
use hop3_core::name::AppName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::secret::Secret;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct Pushes(pub Arc<Server>);

impl GitAccess for Pushes {
    fn admit(
        &self,
        token: Option<&Secret<String>>,
        name: &AppName,
        service: Service,
    ) -> Result<Admitted, Refusal> {
        let server = &self.0;
        let token = token.ok_or(Refusal::Unauthenticated)?;
        let grant = server.store.grant_of_token(token.expose()).map_err(internal)?;
        let may_create = match grant.ok_or(Refusal::Unauthenticated)? {
            Grant::Admin => service == Service::ReceivePack,
            Grant::App(own) if own == *name => false,
            Grant::App(_) => {
                let title = format!("this token is not for the app \"{name}\"");
                return Err(Problem::new(Kind::Denied, "auth.denied", title).into());
            }
        };
        if service == Service::ReceivePack {
            disk::require_room(&server.layout)?;
        }
        let app = find_or_create(server, name, may_create)?;
        let by = server.store.name_of_token(token.expose()).map_err(internal)?;
        Ok(admitted(server, &app, service, by)?)
    }
}

fn admitted(server: &Server, app: &App, service: Service, by: String) -> Result<Admitted, Problem> {
    let target = DeployTarget { branch: app.branch.clone(), settled: app.current.is_some() };
    let hook = HookEnv {
        program: server.program.clone(),
        root: server.layout.root().to_owned(),
        app: app.name.clone(),
        target,
        by,
    };
    let repository = service.repository(&server.layout.repository(&app.name))?;
    Ok(Admitted { repository, hook })
}
