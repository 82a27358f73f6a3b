// SPDX-License-Identifier: Apache-2.0
//! HTTPS: whom the client trusts, and what is told of a server that does not prove who it is.

use crate::problem;
use hop3_core::Problem;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Files of authorities are small.
const MAX_FILE: usize = 256 << 10;

/// Whose word is taken for who a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The authorities that this machine trusts.
    Machine,
    /// Those in this PEM, and nobody else.
    Only(String),
}

impl Trust {
    /// Reads a file of authorities, which is refused at once when it is none.
    pub(crate) fn read(path: &Path) -> Result<Trust, Problem> {
        let bytes = std::fs::read(path).map_err(|error| problem::unreadable(path, &error))?;
        let pem = String::from_utf8(bytes).ok().filter(|pem| pem.len() <= MAX_FILE);
        let pem = pem.ok_or_else(|| problem::bad_ca_file("it is no text, or larger than 256 KiB"))?;
        roots_in(&pem)?;
        Ok(Trust::Only(pem))
    }

    fn roots(&self) -> Result<RootCertStore, Problem> {
        match self {
            Trust::Only(pem) => roots_in(pem),
            Trust::Machine => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() { Err(problem::no_authorities()) } else { Ok(roots) }
            }
        }
    }
}

fn roots_in(pem: &str) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(problem::bad_ca_file)?;
        roots.add(certificate).map_err(problem::bad_ca_file)?;
    }
    if roots.is_empty() { Err(problem::bad_ca_file("there is no certificate in it")) } else { Ok(roots) }
}

/// Makes a connection one to exactly that host. `server` names it for people.
pub(crate) async fn secure(
    stream: TcpStream,
    host: &str,
    trust: &Trust,
    server: &str,
) -> Result<TlsStream<TcpStream>, Problem> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| problem::system("preparing TLS", error))?;
    let mut config = builder.with_root_certificates(trust.roots()?).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|_| problem::bad_url(server))?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connecting.await.map_err(|error| told(&error, host, server))
}

fn told(error: &io::Error, host: &str, server: &str) -> Problem {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(why)) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                problem::expired(server, why)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                problem::not_yet_valid(server, why)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                problem::other_name(server, host, why)
            }
            why => problem::untrusted(server, why),
        },
        Some(Error::InvalidMessage(why)) => problem::not_https(server, format!("{why:?}")),
        _ => problem::unreachable(server, error),
    }
}

#[cfg(test)]
mod tests;
