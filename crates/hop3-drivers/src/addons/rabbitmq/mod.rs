// SPDX-License-Identifier: Apache-2.0
//! `rabbitmq`: RabbitMQ. Addons share one server; each has a virtual host of its own, and every credential is a user
//! who may do everything there and nothing elsewhere.
//!
//! Erlang finds nodes through epmd. The machine's own is left alone: one on a port of the server's runs beside it.

mod knock;
mod script;

use super::Host;
use super::program::Product;
use hop3_core::addon::{AddonServer, AddonStatus, Binding, KindCapabilities, KindFacts, WantedAddon};
use hop3_core::driver::Addon;
use hop3_core::sandbox::Job;
use hop3_core::{Kind, Problem};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

const PRODUCT: Product = Product {
    title: "RabbitMQ",
    program: "rabbitmq-server",
    // Not /usr/sbin: what lies there insists on Debian's own user.
    places: &["/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin"],
    install: "apt-get install --no-install-recommends rabbitmq-server",
};

/// The operating system's name of the server's user.
const USER: &str = "rabbitmq";

/// The administrator within RabbitMQ.
const ADMIN: &str = "hop3";

/// Where Erlang's own two ports are looked for: below those of servers.
const PORTS: std::ops::Range<u16> = 10_000..15_000;

pub struct Rabbitmq {
    host: Arc<Host>,
}

impl Rabbitmq {
    pub fn new(host: Arc<Host>) -> Rabbitmq {
        Rabbitmq { host }
    }

    /// Of epmd, and of the server for its command line.
    fn ports(&self, server: &AddonServer) -> Result<(String, String), Problem> {
        let text = self.host.ask(&self.host.job(server, USER, ["cat", "ports"]), "")?;
        let (epmd, own) = text.trim().split_once(' ').unwrap_or_default();
        Ok((epmd.to_owned(), own.to_owned()))
    }

    fn job(&self, server: &AddonServer, (epmd, own_port): &(String, String), argv: &[&str]) -> Job {
        let mut job = self.host.job(server, USER, argv.iter().copied());
        let own = |file: &str| self.host.directory(server).join(file).to_string_lossy().into_owned();
        let env = [
            ("RABBITMQ_NODENAME", format!("{}@localhost", server.name)),
            ("RABBITMQ_CONFIG_FILE", own("rabbitmq.conf")),
            ("RABBITMQ_CONF_ENV_FILE", own("none")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", own("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", own("mnesia")),
            ("RABBITMQ_LOG_BASE", own("log")),
            ("RABBITMQ_LOGS", "-".to_owned()),
            ("RABBITMQ_DIST_PORT", own_port.clone()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
            ("ERL_EPMD_PORT", epmd.clone()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            // It becomes the server instead of watching over it.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
        ];
        job.env.extend(env.map(|(key, value)| (key.to_owned(), value)));
        job
    }

    fn write(&self, server: &AddonServer, file: &str, text: &str) -> Result<(), Problem> {
        self.host.write(server, USER, file, text)
    }

    fn set_up(&self, server: &AddonServer) -> Result<(), Problem> {
        let directory = self.host.make_directory(server)?;
        if directory.join("rabbitmq.conf").exists() {
            return Ok(());
        }
        self.write(server, ".erlang.cookie", super::plain(server.password.expose())?)?;
        self.write(server, "enabled_plugins", "[].\n")?;
        let (epmd, own) = free_ports(server)?;
        self.write(server, "ports", &format!("{epmd} {own}\n"))?;
        self.write(server, "rabbitmq.conf", &script::config(server)?)
    }

    /// Has the running server do what a script says.
    fn eval(&self, server: &AddonServer, script: &str) -> Result<(), Problem> {
        self.write(server, "script.erl", script)?;
        let control = PRODUCT.find()?.replace("rabbitmq-server", "rabbitmqctl");
        let argv = [control.as_str(), "--quiet", "eval_file", "script.erl"];
        let job = self.job(server, &self.ports(server)?, &argv);
        let answer = self.host.ask(&job, "").inspect_err(|_| self.forget_script(server))?;
        self.forget_script(server);
        match answer.trim() {
            "ok" => Ok(()),
            other => {
                let title = format!("{} does not take the change", server.name);
                Err(Problem::new(Kind::Unavailable, "addon.not-changed", title).detail(other))
            }
        }
    }

    /// It has passwords in it.
    fn forget_script(&self, server: &AddonServer) {
        let job = self.host.job(server, USER, ["rm", "-f", "script.erl"]);
        if let Err(problem) = self.host.ask(&job, "") {
            tracing::warn!(problem = problem.title, "a script is left in the server's directory");
        }
    }
}

impl Addon for Rabbitmq {
    fn facts(&self) -> KindFacts {
        KindFacts {
            kind: super::kind("rabbitmq"),
            title: PRODUCT.title.to_owned(),
            slot: "amqp".to_owned(),
            versions: PRODUCT.versions(),
            install: PRODUCT.install.to_owned(),
            capabilities: KindCapabilities {
                shares: true,
                serves: true,
                rotates: true,
                ..KindCapabilities::default()
            },
            options: super::options(&[(
                "connections",
                "so many at the same time; without a limit unless set",
            )]),
            server_options: Vec::new(),
        }
    }

    fn serve(&self, server: &AddonServer) -> Result<(), Problem> {
        let program = PRODUCT.find()?;
        self.set_up(server)?;
        let ports = self.ports(server)?;
        let names = self.job(server, &ports, &["epmd", "-port", &ports.0, "-address", "127.0.0.1"]);
        self.host.keep_beside(server, "epmd", names, 5)?;
        self.host.keep(server, self.job(server, &ports, &[&program]), 60, &|| {
            knock::knock(server, ADMIN, server.password.expose()).is_ok()
        })
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        self.eval(&addon.server, &script::provision(addon)?)?;
        let credential = addon.credential();
        let (user, password, port) = (&credential.user, credential.password.expose(), addon.server.port);
        let url = format!("amqp://{user}:{password}@127.0.0.1:{port}/{}", addon.database);
        let variables = [
            ("AMQP_URL", url.clone()),
            ("RABBITMQ_URL", url),
            ("RABBITMQ_HOST", "127.0.0.1".to_owned()),
            ("RABBITMQ_PORT", port.to_string()),
            ("RABBITMQ_USER", user.clone()),
            ("RABBITMQ_PASSWORD", password.clone()),
            ("RABBITMQ_VHOST", addon.database.clone()),
        ];
        Ok(super::binding(variables, &[]))
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        let credential = addon.credential();
        match knock::knock(&addon.server, &credential.user, credential.password.expose()) {
            Ok(version) => Ok(AddonStatus {
                is_up: true,
                version,
                size_bytes: None,
                connections: None,
                trouble: None,
                pool: None,
            }),
            Err(e) => Ok(super::down(format!("{} does not let in: {e}", addon.server.name))),
        }
    }

    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem> {
        self.eval(&addon.server, &script::destroy(addon)?)
    }

    fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        self.host.retire(server)
    }
}

/// Two on which nobody listens, other ones for other servers.
fn free_ports(server: &AddonServer) -> Result<(u16, u16), Problem> {
    let start = server.port % PORTS.len() as u16;
    let ports = PORTS.skip(start.into()).chain(PORTS.take(start.into()));
    let mut free = ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    match (free.next(), free.next()) {
        (Some(epmd), Some(own)) => Ok((epmd, own)),
        _ => Err(Problem::new(Kind::Unavailable, "addon.no-port", "no port is free for another server")),
    }
}
