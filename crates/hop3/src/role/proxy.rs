// SPDX-License-Identifier: Apache-2.0
//! `hop3 proxy`: the proxy role.

use super::{keep, layout, log, upgrade};
use crate::command::{ProxyArgs, ProxyIo, ProxyVerb};
use crate::wire;
use anyhow::Result;
use hop3_cli::{ClientCommand, GlobalArgs};
use std::process::ExitCode;

pub(crate) fn run(args: ProxyArgs, options: GlobalArgs) -> ExitCode {
    match args.command {
        None => {}
        Some(ProxyVerb::Upgrade) => return upgrade::run(&layout(&options)),
        Some(ProxyVerb::Client(command)) => {
            return hop3_cli::run(ClientCommand::Proxy(command), options, wire::program());
        }
    }
    log();
    match proxy(&args, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<hop3_proxy::AlreadyRunning>() => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "proxy");
            ExitCode::FAILURE
        }
    }
}

fn proxy(args: &ProxyArgs, options: &GlobalArgs) -> Result<()> {
    let layout = layout(options);
    std::fs::create_dir_all(layout.run_of("proxy"))?;
    keep::keep_others(&layout, "proxy")?;
    let wanted = args.kept.then(|| keep::wanted_file(&layout, "proxy"));
    let takes_over = args.takes_over;
    let front = wire::front(&layout, takes_over)?;
    let introducers = args.proxy_protocol_from.clone();
    anyhow::ensure!(
        front.is_none() || introducers.is_empty(),
        "the proxy that is chosen does not read the PROXY protocol; remove front.json, or --proxy-protocol-from"
    );
    let options = hop3_proxy::Options::new(layout, args.http);
    hop3_proxy::run(hop3_proxy::Options {
        https: args.https,
        introducers,
        io: match args.io {
            ProxyIo::Uring => hop3_proxy::Io::Uring,
            ProxyIo::Epoll => hop3_proxy::Io::Epoll,
        },
        wanted,
        takes_over,
        front,
        ..options
    })
}

/// `hop3 front`: becomes the program that accepts connections in the proxy's place.
pub(crate) fn front(options: &GlobalArgs) -> ExitCode {
    let error = wire::become_front(&layout(options));
    log();
    tracing::error!(error, "front");
    ExitCode::FAILURE
}
