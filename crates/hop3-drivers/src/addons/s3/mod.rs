// SPDX-License-Identifier: Apache-2.0
//! `s3`: a bucket. Of an object storage elsewhere, where an address is given (`elsewhere`); otherwise of a server of
//! Hop3's own, which all addons share.
//!
//! The server is Versity's gateway over a directory: a bucket is a directory beneath `buckets`, an object a file, and
//! what is known of it lies in the file's extended attributes. The buckets belong to the administrator; each has a
//! policy that lets exactly its addon's credentials in, and each of these is a user whom the server reads from a file.
//!
//! Reading order: here what a driver does, `access` who may do what, `signed` how the server is asked, `carry` what is
//! written out and read back.

mod access;
mod carry;
mod elsewhere;
mod signed;
mod told;
mod whole;

use super::Host;
use super::program::Product;
use hop3_core::Problem;
use hop3_core::addon::{
    AddonServer, AddonStatus, Binding, ELSEWHERE, KindCapabilities, KindFacts, WantedAddon,
};
use hop3_core::driver::{Addon, holds_nothing};
use hop3_core::sandbox::{Job, Mount};
use signed::Request;
use std::io::{Read, Write};
use std::sync::Arc;
use told::{REGION, Told};

const PRODUCT: Product = Product {
    title: "versitygw",
    program: "versitygw",
    places: &["/usr/local/bin", "/usr/bin"],
    install: "GOBIN=/usr/local/bin go install github.com/versity/versitygw/cmd/versitygw@v1.8.0",
};

/// The operating system's name of the server's user.
const USER: &str = "s3";

pub struct S3 {
    host: Arc<Host>,
}

impl S3 {
    pub fn new(host: Arc<Host>) -> S3 {
        S3 { host }
    }

    fn run(&self, server: &AddonServer, argv: &[&str]) -> Result<String, Problem> {
        self.host.ask(&self.host.job(server, USER, argv.iter().copied()), "")
    }

    fn server_job(&self, server: &AddonServer) -> Result<Job, Problem> {
        let program = PRODUCT.find_on_path()?;
        let directory = self.host.directory(server);
        let [iam, buckets] = ["iam", "buckets"].map(|name| directory.join(name).display().to_string());
        let address = format!("127.0.0.1:{}", server.port);
        let mut argv =
            vec![program.as_str(), "--port", &address, "--region", REGION, "--quiet", "--keep-alive"];
        // Who may come in is read from the file for each request: whoever is taken out is out.
        argv.extend(["--iam-dir", &iam, "--iam-cache-disable"]);
        argv.extend(["posix", "--disable-object-lock-file", "--dir-perms", "0700", "--file-perms", "0600"]);
        let mut job = self.host.job(server, USER, argv.into_iter().chain([buckets.as_str()]));
        job.env.insert("ROOT_ACCESS_KEY_ID".to_owned(), access::ADMIN.to_owned());
        job.env.insert("ROOT_SECRET_ACCESS_KEY".to_owned(), server.password.expose().clone());
        job.sandbox.mounts.push(Mount {
            source: program.clone().into(),
            target: program.into(),
            writable: false,
        });
        Ok(job)
    }

    /// Writes who may come in at all.
    fn let_in(&self, server: &AddonServer) -> Result<(), Problem> {
        let argv = ["find", "accounts", "-name", "*.json", "-exec", "cat", "{}", "+"];
        let users = access::users(&self.run(server, &argv)?)?;
        self.host.write(server, USER, "iam/users.json", &users)
    }

    /// The bucket is there, and its policy names exactly these.
    fn open(&self, addon: &WantedAddon, bucket: &str) -> Result<(), Problem> {
        self.put_back(&addon.server, bucket)?;
        let admin = (access::ADMIN, addon.server.password.expose().as_str());
        let ask = |method, query, body: &str| {
            signed::ask(&addon.server, admin, &Request { method, bucket, query, body })
        };
        if ask("HEAD", "", "").and_then(signed::done).is_err() {
            ask("PUT", "", "").and_then(signed::done).map_err(|error| refused(&addon.server, &error))?;
        }
        let policy = access::policy(addon, bucket);
        ask("PUT", "policy=", &policy).and_then(signed::done).map_err(|error| refused(&addon.server, &error))
    }
}

/// Whoever signs with an addon's credential is let in to its bucket.
fn comes_in(addon: &WantedAddon, bucket: &str) -> std::io::Result<()> {
    let credential = addon.credential();
    let who = (credential.user.as_str(), credential.password.expose().as_str());
    signed::ask(&addon.server, who, &Request { method: "HEAD", bucket, query: "", body: "" })
        .and_then(signed::done)
}

fn refused(server: &AddonServer, error: &std::io::Error) -> Problem {
    let title = format!("the server {} refuses what it is asked", server.name);
    Problem::new(hop3_core::Kind::Unavailable, "addon.client-failed", title).detail(error.to_string())
}

impl Addon for S3 {
    fn facts(&self) -> KindFacts {
        let here = PRODUCT.find_on_path().is_ok().then(|| "installed".to_owned());
        KindFacts {
            kind: super::kind("s3"),
            title: "S3-compatible object storage".to_owned(),
            slot: "s3".to_owned(),
            versions: here.into_iter().chain([ELSEWHERE.to_owned()]).collect(),
            install: PRODUCT.install.to_owned(),
            capabilities: KindCapabilities {
                shares: true,
                serves: true,
                backs_up: true,
                rotates: true,
                takes_secret: true,
                ..KindCapabilities::default()
            },
            options: super::options(&[
                ("region", "elsewhere: us-east-1 unless set"),
                ("tls", "elsewhere: no: the endpoint speaks plain HTTP"),
                ("check", "elsewhere: no: do not look whether its host answers"),
            ]),
            server_options: Vec::new(),
        }
    }

    fn serve(&self, server: &AddonServer) -> Result<(), Problem> {
        if is_elsewhere(server) {
            return Ok(());
        }
        self.host.make_directory(server)?;
        let directories = ["accounts", "buckets", "iam", "former", "incoming", "moments"];
        self.run(server, &[&["mkdir", "-p", "-m", "0700"], directories.as_slice()].concat())?;
        let admin = (access::ADMIN, server.password.expose().as_str());
        let look = Request { method: "GET", bucket: "", query: "", body: "" };
        self.host.keep(server, self.server_job(server)?, 30, &|| {
            signed::ask(server, admin, &look).and_then(signed::done).is_ok()
        })
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        if is_elsewhere(&addon.server) {
            return elsewhere::provision(addon);
        }
        let (server, bucket) = (&addon.server, access::bucket(addon)?);
        let file = format!("accounts/{}.json", super::plain(&addon.database)?);
        self.host.write(server, USER, &file, &access::accounts(addon)?)?;
        // Known first, then let in: a policy cannot name whom nobody knows.
        self.let_in(server)?;
        self.open(addon, &bucket)?;
        self.host.until_changed(server, &|| comes_in(addon, &bucket).is_ok())?;
        let credential = addon.credential();
        let (key, secret) = (credential.user.clone(), credential.password.expose().clone());
        let url = format!("s3://{key}:{secret}@127.0.0.1:{}/{bucket}", server.port);
        let endpoint = format!("http://127.0.0.1:{}", server.port);
        Ok(told::binding(url, &Told { endpoint, region: REGION.to_owned(), bucket, key, secret }))
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        if is_elsewhere(&addon.server) {
            return elsewhere::status(addon);
        }
        match comes_in(addon, &access::bucket(addon)?) {
            Ok(()) => Ok(super::seen(None)),
            Err(e) => Ok(super::down(format!("{} does not let in: {e}", addon.server.name))),
        }
    }

    fn backup(&self, addon: &WantedAddon, _as_of_ms: Option<u64>, to: &mut dyn Write) -> Result<(), Problem> {
        match is_elsewhere(&addon.server) {
            true => Err(holds_nothing(&self.facts())),
            false => self.write_out(&addon.server, &access::bucket(addon)?, to),
        }
    }

    fn restore(&self, addon: &WantedAddon, from: &mut dyn Read) -> Result<(), Problem> {
        match is_elsewhere(&addon.server) {
            true => Err(holds_nothing(&self.facts())),
            false => self.read_back(&addon.server, &access::bucket(addon)?, from),
        }
    }

    fn destroy(&self, addon: &WantedAddon) -> Result<(), Problem> {
        if is_elsewhere(&addon.server) {
            return Ok(());
        }
        let (server, bucket) = (&addon.server, access::bucket(addon)?);
        let file = format!("accounts/{}.json", super::plain(&addon.database)?);
        self.run(server, &["rm", "-f", &file])?;
        self.let_in(server)?;
        let places = ["buckets", "former", "incoming"].map(|place| format!("{place}/{bucket}"));
        self.run(server, &["rm", "-rf", &places[0], &places[1], &places[2]]).map(drop)
    }

    fn retire(&self, server: &AddonServer) -> Result<(), Problem> {
        if is_elsewhere(server) {
            return Ok(());
        }
        self.host.retire(server)
    }
}

fn is_elsewhere(server: &AddonServer) -> bool {
    server.version == ELSEWHERE
}

#[cfg(test)]
mod tests;
