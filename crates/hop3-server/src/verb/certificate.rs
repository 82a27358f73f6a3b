// SPDX-License-Identifier: Apache-2.0
//! `cert list|info|add|remove|renew|ca`. Whoever keeps the certificates judges what is brought.

use crate::jobs;
use crate::server::Server;
use hop3_core::certificate::{AddCertificateRequest, CertificateAuthority, CertificateInfo};
use hop3_core::problem::Problem;

pub(crate) fn list(server: &Server) -> Result<Vec<CertificateInfo>, Problem> {
    server.drivers.certificates.list()
}

pub(crate) fn info(server: &Server, name: &str) -> Result<CertificateInfo, Problem> {
    server.drivers.certificates.info(name)
}

pub(crate) fn add(server: &Server, request: &AddCertificateRequest) -> Result<Vec<CertificateInfo>, Problem> {
    let added = server.drivers.certificates.add(request)?;
    // Whoever brings one that will not last long is told at once.
    jobs::warn_of_expiry(server, &added);
    Ok(added)
}

pub(crate) fn remove(server: &Server, name: &str) -> Result<(), Problem> {
    server.drivers.certificates.remove(name)
}

pub(crate) fn renew(server: &Server, name: &str) -> Result<(), Problem> {
    server.drivers.certificates.renew(name)
}

pub(crate) fn ca(server: &Server) -> Result<CertificateAuthority, Problem> {
    server.drivers.certificates.ca().map(|certificate| CertificateAuthority { certificate })
}
