// SPDX-License-Identifier: Apache-2.0
//! Where the server is and how it is reached.
//!
//! In this order: a root on this machine (`--root`, HOP3_ROOT), the address in HOP3_SERVER, the stored login, the
//! default root's socket when this user may connect. A root needs no token: its socket knows who connects.

use crate::login::Logins;
use crate::problem;
use crate::trust::{self, Trust};
use crate::wire::Wire;
use hop3_core::Problem;
use hop3_core::layout::Layout;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The API socket of a root on this machine.
    Socket(PathBuf),
    /// `http://HOST:PORT`, or `https://HOST:PORT` where somebody's word is asked for.
    Http { host: String, port: u16, token: Option<String>, trust: Option<Trust> },
}

impl Target {
    /// Finds the server this command talks to.
    pub(crate) fn find(root: Option<PathBuf>, server: Option<&str>) -> Result<Target, Problem> {
        if let Some(root) = root {
            return Ok(Target::Socket(Layout::new(root).api_socket()));
        }
        let token = std::env::var("HOP3_TOKEN").ok().filter(|t| !t.is_empty());
        let logins = Logins::read()?;
        if let Some(url) = server {
            let token = token.or_else(|| logins.token(url));
            return Target::parse(url, token, logins.ca(url));
        }
        if let Some((url, stored)) = logins.default_server() {
            return Target::parse(url, token.or(Some(stored)), logins.ca(url));
        }
        let socket = Layout::new(Layout::DEFAULT_ROOT).api_socket();
        if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
            return Ok(Target::Socket(socket));
        }
        Err(problem::not_logged_in())
    }

    /// Reads `http://HOST[:PORT]` and `https://HOST[:PORT]`; over HTTPS `ca` is trusted, or the machine's authorities.
    pub(crate) fn parse(url: &str, token: Option<String>, ca: Option<Trust>) -> Result<Target, Problem> {
        let uri: hyper::Uri = url.parse().map_err(|_| problem::bad_url(url))?;
        let (usual, trust) = match (uri.scheme_str(), ca) {
            (Some("https"), ca) => (443, Some(ca.unwrap_or(Trust::Machine))),
            (Some("http"), None) => (80, None),
            (Some("http"), Some(_)) => return Err(problem::ca_without_https(url)),
            _ => return Err(problem::bad_url(url)),
        };
        let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let (Some(host), true) = (uri.host(), plain) else { return Err(problem::bad_url(url)) };
        let has_user = uri.authority().is_some_and(|a| a.as_str().contains('@'));
        if host.is_empty() || has_user {
            return Err(problem::bad_url(url));
        }
        Ok(Target::Http { host: host.to_owned(), port: uri.port_u16().unwrap_or(usual), token, trust })
    }

    /// For people and for the `Host` header.
    pub(crate) fn name(&self) -> String {
        match self {
            Target::Socket(path) => path.display().to_string(),
            Target::Http { trust: None, .. } => format!("http://{}", self.authority()),
            Target::Http { .. } => format!("https://{}", self.authority()),
        }
    }

    pub(crate) fn authority(&self) -> String {
        match self {
            Target::Socket(_) => "localhost".to_owned(),
            Target::Http { host, port: 80, trust: None, .. } => host.clone(),
            Target::Http { host, port: 443, trust: Some(_), .. } => host.clone(),
            Target::Http { host, port, .. } => format!("{host}:{port}"),
        }
    }

    pub(crate) fn token(&self) -> Option<&str> {
        match self {
            Target::Socket(_) => None,
            Target::Http { token, .. } => token.as_deref(),
        }
    }

    pub(crate) async fn connect(&self) -> Result<Wire, Problem> {
        let failed = |e: std::io::Error| problem::unreachable(&self.name(), e);
        match self {
            Target::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(failed)?;
                Ok(Wire::new(stream))
            }
            Target::Http { host, port, trust, .. } => {
                let connecting = TcpStream::connect((resolvable(host), *port));
                let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
                    .await
                    .map_err(|_| problem::unreachable(&self.name(), "no connection within 10 seconds"))?
                    .map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                let Some(trust) = trust else { return Ok(Wire::new(stream)) };
                let name = self.name();
                let shaking = trust::secure(stream, host, trust, &name);
                let secured = tokio::time::timeout(CONNECT_TIMEOUT, shaking);
                let late = |_| problem::unreachable(&name, "no handshake within 10 seconds");
                Ok(Wire::new(secured.await.map_err(late)??))
            }
        }
    }
}

/// Names beneath `localhost` are this machine (RFC 6761), which not every resolver knows; brackets belong to URLs.
fn resolvable(host: &str) -> &str {
    if host == "localhost" || host.ends_with(".localhost") {
        return "127.0.0.1";
    }
    host.trim_start_matches('[').trim_end_matches(']')
}
