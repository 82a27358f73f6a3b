// SPDX-License-Identifier: Apache-2.0
//! `hop3 server`: the control plane role. Starts the other two when they are not running, then serves until it is
//! told to end; the others go on.

use super::{keep, layout, log, stop, waf};
use crate::command::ServerArgs;
use crate::{environment, wire};
use anyhow::{Context, Result};
use hop3_cli::{ClientCommand, GlobalArgs, ServerCommand};
use hop3_core::layout::Layout;
use hop3_core::lock::RoleLock;
use hop3_core::policy::Net;
use hop3_core::problem::{Kind, Problem};
use hop3_server::{Parts, Server, Site, StopScope, Store};
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

pub(crate) fn run(args: ServerArgs, options: GlobalArgs) -> ExitCode {
    match args.command {
        None => {}
        Some(ServerCommand::Stop(stop)) => return stop::run(&layout(&options), stop.all),
        Some(command) => return hop3_cli::run(ClientCommand::Server(command), options, wire::program()),
    }
    log();
    match serve(&args, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let problem = error.downcast().unwrap_or_else(|error| not_started(&error));
            let _ = std::io::stderr().write_all(problem.render().as_bytes());
            ExitCode::from(problem.kind.exit_code())
        }
    }
}

fn not_started(error: &anyhow::Error) -> Problem {
    Problem::new(Kind::Unavailable, "server.not-started", "the server cannot start")
        .detail(format!("{error:#}"))
}

fn serve(args: &ServerArgs, options: &GlobalArgs) -> Result<()> {
    let layout = prepare(&layout(options))?;
    let Some(_lock) = RoleLock::take(&layout.lock_of("server"))? else {
        // A keeper that was not the first must not make noise; a person must be told.
        if args.kept {
            return Ok(());
        }
        let title = format!("a server runs on {} already", layout.root().display());
        return Err(Problem::new(Kind::Conflict, "server.already-running", title)
            .hint(format!("end it with: hop3 server stop --root {}", layout.root().display()))
            .into());
    };
    if args.kept && !keep::wanted_file(&layout, "server").exists() {
        return Ok(());
    }
    // A person is told and can try again; keepers shall not do it meanwhile.
    hold(args, layout.clone()).inspect_err(|_| {
        if !args.kept {
            keep::unwant(&layout, "server");
        }
    })
}

/// Serves, with the lock of the role held.
fn hold(args: &ServerArgs, layout: Layout) -> Result<()> {
    if !args.proxy_protocol_from.is_empty() {
        wire::refuse_introducers(&layout)?;
    }
    let site = site(args, &layout)?;
    want_all(&layout, &site, &args.proxy_protocol_from)?;
    for role in ["supervisor", "proxy"] {
        keep::ensure(&layout, role)?;
    }
    waf::ensure(&layout);
    keep::keep_others(&layout, "server")?;
    let ended = Arc::new(Notify::new());
    let server = Arc::new(Server::new(Parts {
        store: Store::open(&layout)?,
        drivers: wire::registry(&layout),
        site,
        program: super::program().context("finding the program")?,
        build_environment: environment::for_builds(),
        stop: stopper(&layout, &ended),
        layout: layout.clone(),
    }));
    let url = server.site.url_of(&server.site.domain);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(hop3_server::serve(server, until_stopped(layout, ended)?, move || ready(&url)))
}

/// The line that scripts wait for.
fn ready(url: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody may be reading.
    let _ = writeln!(out, "ready {url}").and_then(|()| out.flush());
}

/// Makes the directories of a root; everything beneath it is closed to others but what a role opens.
pub(crate) fn prepare(layout: &Layout) -> Result<Layout> {
    let make =
        |path: &std::path::Path, mode| std::fs::DirBuilder::new().recursive(true).mode(mode).create(path);
    make(layout.root(), 0o755).with_context(|| format!("making {}", layout.root().display()))?;
    // As the kernel names it: sandboxes hide and show it by this path.
    let layout = Layout::new(layout.root().canonicalize()?);
    for path in [layout.apps(), layout.artifacts(), layout.layers(), layout.toolchains(), layout.plugins()] {
        make(&path, 0o755)?;
    }
    for role in keep::ROLES.into_iter().chain([waf::ROLE]) {
        make(&layout.run_of(role), 0o755)?;
    }
    Ok(layout)
}

/// Where the proxy listens, or will.
fn site(args: &ServerArgs, layout: &Layout) -> Result<Site> {
    let http = address(layout, Listener::Http, Some(args.http))?.unwrap_or(args.http);
    let https = address(layout, Listener::Https, args.https)?;
    Ok(Site { domain: args.domain.clone(), http, https, tcp_ports: args.tcp_ports.clone() })
}

/// One of the proxy's listeners: the option that asks for it, and the file with the address it has.
#[derive(Clone, Copy)]
enum Listener {
    Http,
    Https,
}

impl Listener {
    fn word(self) -> &'static str {
        match self {
            Listener::Http => "http",
            Listener::Https => "https",
        }
    }
}

/// Port 0 means a free one, or the one the living proxy of this root has.
fn address(layout: &Layout, listener: Listener, wished: Option<SocketAddr>) -> Result<Option<SocketAddr>> {
    let file = layout.run_of("proxy").join(listener.word());
    let before: Option<SocketAddr> = std::fs::read_to_string(&file).ok().and_then(|text| text.parse().ok());
    // What accepts in the proxy's place outlives it, and the next one finds it.
    let lives = keep::lives(layout, "proxy") || wire::front_accepts(layout);
    let address = match (lives, before, wished) {
        (true, Some(living), Some(wished)) if wished.port() == 0 || living == wished => Some(living),
        (true, None, None) => None,
        (true, living, wished) => return Err(other_address(layout, listener, (living, wished)).into()),
        (false, _, wished) => wished.map(|wished| free(listener, wished)).transpose()?,
    };
    match address {
        Some(address) => std::fs::write(file, address.to_string())?,
        // What a proxy had that is gone.
        None if before.is_some() => std::fs::remove_file(file)?,
        None => {}
    }
    Ok(address)
}

fn other_address(
    layout: &Layout,
    listener: Listener,
    (living, wished): (Option<SocketAddr>, Option<SocketAddr>),
) -> Problem {
    let (word, shown) = (listener.word(), |address: Option<SocketAddr>| {
        address.map_or_else(|| "nowhere".to_owned(), |address| format!("on {address}"))
    });
    let title = format!("the proxy of this root listens for {word} {}, not {}", shown(living), shown(wished));
    Problem::new(Kind::Conflict, "server.other-address", title)
        .hint(format!("end it first with: hop3 server stop --all --root {}", layout.root().display()))
}

/// Checks that the proxy will be able to listen there, since here is somebody who can be told; port 0 is replaced.
fn free(listener: Listener, wished: SocketAddr) -> Result<SocketAddr, Problem> {
    let bound = TcpListener::bind(wished).and_then(|bound| bound.local_addr());
    let word = listener.word();
    bound.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse => {
                format!("another program listens there; end it or choose another address with --{word}")
            }
            ErrorKind::PermissionDenied => {
                format!("ports below 1024 are root's; choose another with --{word} 127.0.0.1:8080")
            }
            _ => format!("choose an address of this machine with --{word}"),
        };
        Problem::new(Kind::Conflict, "server.address", format!("the proxy cannot listen on {wished}"))
            .detail(error.to_string())
            .hint(hint)
    })
}

fn want_all(layout: &Layout, site: &Site, introducers: &[Net]) -> Result<()> {
    let arguments = |words: &[&str]| -> Vec<OsString> {
        let mut all: Vec<OsString> = words[..1].iter().map(Into::into).collect();
        all.extend(["--root".into(), layout.root().as_os_str().to_owned()]);
        all.extend(words[1..].iter().map(Into::into));
        all
    };
    let http = site.http.to_string();
    let https = site.https.map(|https| https.to_string());
    let mut proxy = vec!["proxy", "--http", &http];
    proxy.extend(https.iter().flat_map(|https| ["--https", https]));
    let introducers: Vec<String> = introducers.iter().map(Net::to_string).collect();
    proxy.extend(introducers.iter().flat_map(|net| ["--proxy-protocol-from", net]));
    let tcp_ports = site.tcp_ports.to_string();
    let own = ["--domain", &site.domain, "--tcp-ports", &tcp_ports, "--kept"];
    let server = [&["server"], &proxy[1..], &own].concat();
    proxy.push("--kept");
    keep::want(layout, "supervisor", &arguments(&["supervise", "--kept"]))?;
    let proxy = arguments(&proxy);
    let before = keep::wanted(layout, "proxy").filter(|_| keep::lives(layout, "proxy"));
    if before.is_some_and(|before| !before.iter().map(OsString::from).eq(proxy.iter().cloned())) {
        tracing::warn!(
            "the proxy that runs was started with other options; it gets these by: hop3 proxy upgrade"
        );
    }
    keep::want(layout, "proxy", &proxy)?;
    keep::want(layout, "server", &arguments(&server))
}

fn stopper(layout: &Layout, ended: &Arc<Notify>) -> Box<dyn Fn(StopScope) + Send + Sync> {
    let (layout, ended) = (layout.clone(), Arc::clone(ended));
    Box::new(move |scope| {
        if scope == StopScope::All {
            let layout = layout.clone();
            std::thread::spawn(move || stop::others(&layout));
        }
        keep::unwant(&layout, "server");
        ended.notify_one();
    })
}

/// SIGTERM and SIGINT end this role alone, and it is not wanted until it is started again.
fn until_stopped(layout: Layout, ended: Arc<Notify>) -> Result<impl Future<Output = ()> + Send> {
    Ok(async move {
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = ended.notified() => {}
        }
        keep::unwant(&layout, "server");
    })
}
