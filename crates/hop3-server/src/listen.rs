// SPDX-License-Identifier: Apache-2.0
//! The two listeners of the server role, both unix sockets: one for local administration, one that the proxy forwards
//! the server's own host name to.

use crate::api::{self, Peer};
use crate::git;
use crate::jobs;
use crate::linger;
use crate::reconcile;
use crate::server::Server;
use crate::verb::push::Pushes;
use anyhow::{Context, Result};
use axum::Router;
use axum::middleware;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tokio::net::UnixListener;

/// Serves until `stop` resolves. `ready` is called when apps can be pushed.
pub async fn serve(
    server: Arc<Server>,
    stop: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce() + Send + 'static,
) -> Result<()> {
    let local = listener(&server.layout.api_socket())?;
    let forwarded = listener(&server.layout.http_socket())?;
    let routes = api::router(Arc::clone(&server));
    let local_routes = routes.clone().layer(middleware::from_fn(api::admit_local));
    let admit = middleware::from_fn_with_state(Arc::clone(&server), api::admit);
    let forwarded_routes: Router =
        routes.layer(admit).nest("/git", git::http::router(Pushes(Arc::clone(&server))));
    let converged = Arc::clone(&server);
    let first = tokio::task::spawn_blocking(move || -> Result<()> {
        reconcile::interrupted(&converged)?;
        crate::verb::access::write_authorized_keys(&converged)?;
        reconcile::reconcile(&converged)?;
        crate::sleep::listen(&converged)?;
        crate::verb::plugin::enable_all(&converged);
        Ok(jobs::start(&converged)?)
    });
    // Before anybody can ask for a change: a deployment that begins now would be taken for one that was interrupted,
    // and its route for an old one. Connections wait meanwhile.
    first.await.context("first convergence")??;
    let serving = async {
        let local_routes = linger::around(local_routes).into_make_service_with_connect_info::<Peer>();
        let local = axum::serve(local, local_routes);
        let forwarded = axum::serve(forwarded, linger::around(forwarded_routes).into_make_service());
        tokio::try_join!(async { local.await }, async { forwarded.await }).context("serving")
    };
    let serving = tokio::spawn(serving);
    ready();
    tokio::select! {
        result = serving => result?.map(drop),
        () = stop => {
            let last = tokio::task::spawn_blocking(move || server.store.checkpoint());
            if let Err(error) = last.await.context("the last checkpoint")? {
                tracing::warn!(error = format!("{error:#}"), "the next start will take longer");
            }
            Ok(())
        }
    }
}

fn listener(path: &Path) -> Result<UnixListener> {
    // The lock of the role is held: a socket that is there belongs to a predecessor that died.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).with_context(|| format!("listening on {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
