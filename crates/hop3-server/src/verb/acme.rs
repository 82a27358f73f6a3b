// SPDX-License-Identifier: Apache-2.0
//! `cert acme set|show|off`. Whoever obtains the certificates keeps the settings and their secrets.

use crate::server::Server;
use hop3_core::acme::{AcmeChange, AcmeShown};
use hop3_core::problem::Problem;

pub(crate) fn show(server: &Server) -> Result<AcmeShown, Problem> {
    server.drivers.authorities.shown()
}

pub(crate) fn set(server: &Server, change: &AcmeChange) -> Result<AcmeShown, Problem> {
    server.drivers.authorities.change(change)
}
