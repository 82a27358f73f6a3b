// SPDX-License-Identifier: Apache-2.0
//! Every word `hop3` understands: the server's roles here, the client's commands from `hop3-cli`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use hop3_cli::{ClientCommand, GlobalArgs, ProxyCommand, ServerCommand};
use hop3_core::policy::Net;
use hop3_core::tcp::Ports;
use std::net::SocketAddr;

/// A platform on your own server: git push, and the app is built, runs isolated, and answers on its domain
#[derive(Parser, Debug)]
#[command(name = "hop3", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) options: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run the control plane in the foreground; starts proxy and supervisor when they are not running
    Server(ServerArgs),
    /// Run the proxy role, or say what it does for an app
    Proxy(ProxyArgs),
    /// Run the supervisor role
    Supervise(SuperviseArgs),
    /// Become a process of an app (started by the supervisor)
    #[command(hide = true)]
    Launch,
    /// Become the program that accepts connections in the proxy's place (started by the proxy)
    #[command(hide = true)]
    Front,
    /// Take mail from apps (started for an addon of the kind mail)
    #[command(hide = true)]
    Mail,
    /// Serve git over SSH (the forced command of a key in authorized_keys)
    GitShell(GitShellArgs),
    /// Answer a hook of git (started by git)
    #[command(hide = true)]
    GitHook(GitHookArgs),
    /// Print a page of the reference
    #[command(hide = true)]
    Reference {
        #[arg(value_enum)]
        page: ReferencePage,
    },
    #[command(flatten)]
    Client(ClientCommand),
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ServerArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ServerCommand>,
    /// The address the proxy listens on for HTTP; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:80")]
    pub(crate) http: SocketAddr,
    /// The address the proxy listens on for HTTPS; without it there is plain HTTP alone
    #[arg(long, value_name = "ADDR")]
    pub(crate) https: Option<SocketAddr>,
    /// Apps answer at NAME.DOMAIN, the control plane at DOMAIN
    #[arg(long, value_name = "DOMAIN", default_value = "localhost")]
    pub(crate) domain: String,
    /// Ports that apps may have for what is not HTTP, for example 5432,9000-9099; none unless set
    #[arg(long, value_name = "PORTS", default_value_t = Ports::default(), hide_default_value = true)]
    pub(crate) tcp_ports: Ports,
    /// Addresses or networks of balancers in front that begin each connection with a PROXY protocol header; they must,
    /// and are believed
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub(crate) proxy_protocol_from: Vec<Net>,
    /// End at once when the role is not wanted any more, or another has it
    #[arg(long, hide = true)]
    pub(crate) kept: bool,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ProxyArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ProxyVerb>,
    /// The address to listen on for HTTP
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:80")]
    pub(crate) http: SocketAddr,
    /// Take the place of the proxy that runs, with its sockets
    #[arg(long, hide = true)]
    pub(crate) takes_over: bool,
    /// The address to listen on for HTTPS
    #[arg(long, value_name = "ADDR")]
    pub(crate) https: Option<SocketAddr>,
    /// Who begins each connection with a PROXY protocol header
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub(crate) proxy_protocol_from: Vec<Net>,
    /// How bytes come and go: uring, which is io_uring where the kernel lets us and epoll elsewhere, or epoll; uring unless
    /// set
    #[arg(long, value_name = "IO", value_enum, env = "HOP3_PROXY_IO", default_value = "uring")]
    pub(crate) io: ProxyIo,
    /// End at once when the role is not wanted any more
    #[arg(long, hide = true)]
    pub(crate) kept: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProxyIo {
    Uring,
    Epoll,
}

/// Look after the proxy
#[derive(Subcommand, Debug)]
pub(crate) enum ProxyVerb {
    /// Put a new proxy, and a new request filter where one runs, of the programs as they are now, in the place of those
    /// that run; no request is dropped
    Upgrade,
    #[command(flatten)]
    Client(ProxyCommand),
}

#[derive(Args, Debug)]
pub(crate) struct SuperviseArgs {
    /// End at once when the role is not wanted any more
    #[arg(long, hide = true)]
    pub(crate) kept: bool,
}

#[derive(Args, Debug)]
pub(crate) struct GitShellArgs {
    /// The name of the key that came in
    #[arg(long)]
    pub(crate) key: String,
}

#[derive(Args, Debug)]
pub(crate) struct GitHookArgs {
    /// The hook's name: pre-receive
    pub(crate) hook: String,
}

/// What `hop3 reference` can print.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ReferencePage {
    Cli,
    Hop3Toml,
    Schema,
    PluginProtocol,
    Api,
    Openapi,
}
