// SPDX-License-Identifier: Apache-2.0
//! `cert`: the certificates that hosts are shown with.

mod acme;

use crate::context::Context;
use acme::AcmeCommand;
use clap::Subcommand;
use hop3_core::Problem;

/// See the certificates of host names, and say where they come from
#[derive(Subcommand, Debug)]
pub enum CertCommand {
    #[command(subcommand)]
    Acme(AcmeCommand),
}

pub(crate) fn run(command: CertCommand, cx: &mut Context) -> Result<(), Problem> {
    match command {
        CertCommand::Acme(command) => acme::run(command, cx),
    }
}
