// SPDX-License-Identifier: Apache-2.0
//! `deploy --git URL`: fetches one commit of a repository and gives it as an upload.
//!
//! Only `https`, `http`, `ssh` and `git` addresses, parsed here and given to git after `--`; what an address resolves
//! to must be public, so that a caller cannot read this machine's own services through it.

use crate::deploy::Upload;
use crate::git::hook::Quarantine;
use crate::git::{Repository, tree_size};
use crate::server::{Server, internal};
use hop3_core::problem::{Kind, Problem};
use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs};
use std::path::Path;

const SCHEMES: [&str; 4] = ["https", "http", "ssh", "git"];

pub(crate) fn fetch(server: &Server, url: &str, reference: Option<&str>) -> Result<Upload, Problem> {
    let (host, port) = parse(url)?;
    public(&host, port)?;
    let reference = reference.unwrap_or("HEAD");
    let safe = !reference.starts_with('-')
        && reference.len() <= 200
        && reference.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    if !safe {
        return Err(Problem::new(Kind::User, "git.bad-ref", "this is not a branch, tag or commit"));
    }
    let scratch =
        server.layout.run_of("server").join(format!("fetch-{}", crate::random::token().map_err(internal)?));
    let fetched = fetch_into(server, &scratch, url, reference);
    let removed = std::fs::remove_dir_all(&scratch);
    let upload = fetched?;
    removed.map_err(internal)?;
    Ok(upload)
}

fn fetch_into(server: &Server, scratch: &Path, url: &str, reference: &str) -> Result<Upload, Problem> {
    let repository = Repository::create(scratch)?;
    let mut fetch = repository.command(["-c", "http.followRedirects=false"]);
    for scheme in SCHEMES {
        fetch.arg("-c").arg(format!("protocol.{scheme}.allow=always"));
    }
    // Certificates and proxies as the operator set them.
    fetch.envs(&server.build_environment);
    run(fetch.args(["fetch", "--quiet", "--depth=1", "--no-tags", "--"]).arg(url).arg(reference))?;
    let commit = run(&mut repository.command(["rev-parse", "FETCH_HEAD^{commit}"]))?.trim().to_owned();
    tree_size::check(&repository, &commit, &Quarantine::default())?;
    let spool = scratch.join("tree.tar");
    run(repository.command(["archive", "--format=tar", "-o"]).arg(&spool).arg(&commit))?;
    // The open descriptor outlives the scratch directory.
    let tar = std::fs::File::open(&spool).map_err(internal)?;
    Ok(Upload { tar: Box::new(tar), label: commit.chars().take(12).collect() })
}

fn run(command: &mut std::process::Command) -> Result<String, Problem> {
    let output = command.output().map_err(internal)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Problem::new(Kind::User, "git.fetch-failed", "the repository could not be fetched")
        .detail(String::from_utf8_lossy(&output.stderr).trim())
        .hint("check the address and the ref; private repositories are deployed by git push"))
}

pub(crate) fn parse(url: &str) -> Result<(String, u16), Problem> {
    let refuse = |why: &str| {
        Problem::new(Kind::User, "git.bad-url", format!("this is not an address to fetch from: {why}"))
            .hint("for example https://example.org/team/shop.git")
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| refuse("it has no scheme"))?;
    let port = match scheme {
        "https" => 443,
        "http" => 80,
        "ssh" => 22,
        "git" => 9418,
        _ => return Err(refuse("the scheme is not https, http, ssh or git")),
    };
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refuse("it has white space or control characters"));
    }
    let authority = rest.split('/').next().unwrap_or("");
    if authority.contains('@') && scheme != "ssh" {
        return Err(refuse("it has a user or password in it"));
    }
    let host_port = authority.rsplit('@').next().unwrap_or("");
    let (host, port) = match host_port.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, Ok(port)),
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or_default().parse()),
        None => match host_port.rsplit_once(':') {
            Some((host, port)) => (host, port.parse()),
            None => (host_port, Ok(port)),
        },
    };
    let port = port.map_err(|_| refuse("its port is not a number"))?;
    // git and what it fetches with end a host at `?`, `#` or `\`, and decode `%`: what is looked at here and what is
    // asked there must be one host.
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~@".contains(c));
    let is_host = match host_port.starts_with('[') {
        true => host.parse::<Ipv6Addr>().is_ok(),
        false => is_plain(host),
    };
    let user = &authority[..authority.len() - host_port.len()];
    if host.is_empty() || host.starts_with('-') || !is_host || !is_plain(user) {
        return Err(refuse("it has no host"));
    }
    Ok((host.to_owned(), port))
}

/// Refuses hosts that are this machine or its private networks. `HOP3_FETCH_PRIVATE` on the server allows them, for
/// installations whose forge is on the same network.
fn public(host: &str, port: u16) -> Result<(), Problem> {
    if std::env::var_os("HOP3_FETCH_PRIVATE").is_some() {
        return Ok(());
    }
    let addresses = (host, port).to_socket_addrs().map_err(|e| {
        Problem::new(Kind::User, "git.unknown-host", format!("the host {host:?} is not known"))
            .detail(e.to_string())
    })?;
    for address in addresses {
        if !is_public(address.ip()) {
            return Err(Problem::new(Kind::Denied, "git.private-address", "this address is not public")
                .detail(format!("{host} is {}", address.ip()))
                .hint("push the repository instead, or start the server with HOP3_FETCH_PRIVATE=1"));
        }
    }
    Ok(())
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
                || a >= 240)
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(mapped) => is_public(IpAddr::V4(mapped)),
            // Global unicast (2000::/3) without 6to4, which reaches private IPv4 addresses.
            None => ip.segments()[0] & 0xe000 == 0x2000 && ip.segments()[0] != 0x2002,
        },
    }
}

#[cfg(test)]
mod tests;
