// SPDX-License-Identifier: Apache-2.0
//! `Secure`: what the handshake of a connection established, for the requests that come over it.

use crate::cert::Version;
use std::cell::RefCell;

/// Shared by all requests of a connection, whatever protocol brings them.
#[derive(Debug, Default)]
pub(crate) struct Secure {
    /// The host the client asked for, in lower case. A client that connects to an address names none.
    pub(crate) host: Option<String>,
    /// The authorities the client's certificate was held against, when it had to show one.
    pub(crate) client_ca: Option<String>,
    /// Whose certificate it showed (RFC 4514).
    pub(crate) subject: Option<String>,
    /// `TLSv1.3`, for the access log.
    pub(crate) version: &'static str,
    pub(crate) sharing: Sharing,
}

/// The host beside its own that a connection was last used for rightly, and as of which certificates and routes.
#[derive(Debug, Default)]
pub(crate) struct Sharing(RefCell<Option<(Box<str>, Version)>>);

impl Sharing {
    pub(super) fn is_known(&self, host: &str, version: Version) -> bool {
        self.0.borrow().as_ref().is_some_and(|(known, as_of)| **known == *host && *as_of == version)
    }

    pub(super) fn remember(&self, host: &str, version: Version) {
        *self.0.borrow_mut() = Some((host.into(), version));
    }
}
