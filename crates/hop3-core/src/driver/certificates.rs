// SPDX-License-Identifier: Apache-2.0
//! `Certificates`: who keeps the certificates that hosts are shown with.

use crate::certificate::{AddCertificateRequest, CertificateInfo};
use crate::problem::Problem;

pub trait Certificates: Send + Sync {
    /// Every certificate that is kept, and the one of every host that is served.
    fn list(&self) -> Result<Vec<CertificateInfo>, Problem>;

    /// The certificate a host is shown with.
    fn info(&self, host: &str) -> Result<CertificateInfo, Problem>;

    /// Checks a certificate somebody brought and keeps it for its names, from the next connection on.
    fn add(&self, request: &AddCertificateRequest) -> Result<Vec<CertificateInfo>, Problem>;

    /// Forgets the certificate kept for a name. What serves the host from then on is told.
    fn remove(&self, name: &str) -> Result<(), Problem>;

    /// Has the certificate of a host obtained anew.
    fn renew(&self, name: &str) -> Result<(), Problem>;

    /// Checks authorities in PEM, whose certificates clients will have to show.
    fn check_client_ca(&self, pem: &str) -> Result<(), Problem>;

    /// PEM of the certificate of the authority that signs for want of another.
    fn ca(&self) -> Result<String, Problem>;
}
