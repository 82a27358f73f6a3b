// SPDX-License-Identifier: Apache-2.0
//! Certificates as people see them: what is kept for a host, who made it, how long it is good.

use crate::acme::Waiting;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who made a certificate, and so who renews it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertificateOrigin {
    /// Obtained from a certificate authority, and renewed by itself.
    Acme,
    /// Brought by somebody, who replaces it in time.
    Own,
    /// Signed by the authority of this installation, for want of another.
    Internal,
}

impl CertificateOrigin {
    pub fn as_str(self) -> &'static str {
        match self {
            CertificateOrigin::Acme => "acme",
            CertificateOrigin::Own => "own",
            CertificateOrigin::Internal => "internal",
        }
    }
}

/// `GET /api/certificates`, one element; `GET /api/certificates/{name}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateInfo {
    /// The host it is kept for; `*.` and a name for one more label.
    pub name: String,
    pub origin: CertificateOrigin,
    /// Somebody answers for the host.
    pub served: bool,
    /// Who signed it.
    pub issuer: String,
    /// Every name in it.
    pub names: Vec<String>,
    /// Unix time in milliseconds, as is the next.
    pub not_before_ms: u64,
    pub not_after_ms: u64,
    /// `ECDSA P-256`, `RSA 2048`.
    pub key: String,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: String,
    /// The last try to obtain another failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// `POST /api/certificates`: a certificate of one's own.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCertificateRequest {
    /// The hosts it shall be shown for; every name in it when empty.
    #[serde(default)]
    pub names: Vec<String>,
    /// PEM: the certificate, then those that lead to a root.
    pub chain: String,
    /// PEM: its private key.
    pub key: String,
}

impl fmt::Debug for AddCertificateRequest {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddCertificateRequest").field("names", &self.names).finish_non_exhaustive()
    }
}

/// `GET /api/certificates/ca`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CertificateAuthority {
    /// PEM of the certificate of this installation's own authority.
    pub certificate: String,
}
