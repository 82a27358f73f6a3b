// SPDX-License-Identifier: Apache-2.0
//! Every problem the CLI itself tells, in one place, so that its tone can be read in one sitting.
//!
//! Problems that come from the server are passed on untouched.

use hop3_core::name::{AppName, PluginName};
use hop3_core::{Kind, Problem};
use std::io;
use std::path::Path;

pub(crate) fn not_logged_in() -> Problem {
    Problem::new(Kind::Denied, "cli.not-logged-in", "no Hop3 server is known here").hint(
        "log in with: hop3 login https://SERVER\non the server's own machine: HOP3_ROOT=DIR hop3 … (or --root DIR)",
    )
}

pub(crate) fn unreachable(target: &str, cause: impl ToString) -> Problem {
    Problem::new(Kind::Unavailable, "cli.unreachable", format!("the server at {target} does not answer"))
        .detail(cause.to_string())
        .hint("is it running? on its machine, look with: hop3 doctor")
}

pub(crate) fn bad_url(url: &str) -> Problem {
    Problem::new(Kind::User, "cli.bad-url", format!("{url:?} is not the address of a server"))
        .hint("write it as https://HOST or https://HOST:PORT; http:// where there is no HTTPS")
}

pub(crate) fn untrusted(server: &str, cause: impl ToString) -> Problem {
    Problem::new(Kind::Denied, "cli.untrusted", format!("{server} does not prove who it is"))
        .detail(format!("its certificate was signed by nobody whom this machine trusts: {}", cause.to_string()))
        .hint(format!(
            "with a certificate of Hop3's own authority: print that on the server with hop3 cert ca, bring the file \
             here by a way you trust, then: hop3 login {server} --ca-file FILE"
        ))
}

pub(crate) fn expired(server: &str, cause: impl ToString) -> Problem {
    Problem::new(Kind::Denied, "cli.certificate-expired", format!("the certificate of {server} has expired"))
        .detail(cause.to_string())
        .hint("see on the server why it was not renewed: hop3 cert info HOST; is this machine's clock right?")
}

pub(crate) fn not_yet_valid(server: &str, cause: impl ToString) -> Problem {
    let title = format!("the certificate of {server} is not good yet");
    Problem::new(Kind::Denied, "cli.certificate-not-yet-valid", title)
        .detail(cause.to_string())
        .hint("is this machine's clock right?")
}

pub(crate) fn other_name(server: &str, host: &str, cause: impl ToString) -> Problem {
    let title = format!("the certificate of {server} is for another name");
    Problem::new(Kind::Denied, "cli.certificate-other-name", title)
        .detail(cause.to_string())
        .hint(format!("use a name that is in it, or give the server one for {host}: hop3 cert add"))
}

pub(crate) fn not_https(server: &str, cause: impl ToString) -> Problem {
    Problem::new(Kind::Unavailable, "cli.not-https", format!("something else than HTTPS answers at {server}"))
        .detail(cause.to_string())
        .hint("is it the right port? plain HTTP begins with http://")
}

pub(crate) fn no_authorities() -> Problem {
    Problem::new(Kind::Unavailable, "cli.no-authorities", "this machine trusts no authority at all")
        .hint("install its list of authorities (package ca-certificates), or name one: hop3 login URL --ca-file FILE")
}

pub(crate) fn bad_ca_file(cause: impl ToString) -> Problem {
    Problem::new(Kind::User, "cli.bad-ca-file", "the file with the authorities to trust cannot be used")
        .detail(cause.to_string())
        .hint("give a PEM file that begins with -----BEGIN CERTIFICATE-----, as hop3 cert ca prints it")
}

pub(crate) fn ca_without_https(url: &str) -> Problem {
    Problem::new(Kind::User, "cli.ca-without-https", format!("at {url} nobody shows a certificate"))
        .hint("write https:// in place of http://, or leave --ca-file out")
}

pub(crate) fn not_hop3(status: u16, body: &str) -> Problem {
    let first: String = body.lines().next().unwrap_or("").chars().take(200).collect();
    let kind = match status {
        401 | 403 => Kind::Denied,
        404 => Kind::NotFound,
        _ => Kind::Unavailable,
    };
    Problem::new(kind, "cli.unexpected-answer", format!("the server answered {status} without saying why"))
        .detail(first)
        .hint("is this the address of a Hop3 server? is the token still valid? log in again with: hop3 login URL")
}

pub(crate) fn unreadable_answer(cause: impl ToString) -> Problem {
    Problem::new(Kind::Bug, "cli.unreadable-answer", "the server's answer is not what this client expects")
        .detail(cause.to_string())
        .hint("client and server may be of different versions: compare hop3 version with hop3 server info")
}

pub(crate) fn stream_cut() -> Problem {
    Problem::new(Kind::Unavailable, "cli.stream-cut", "the connection ended before the deployment did")
        .hint("see how it went with: hop3 status, hop3 logs --build")
}

pub(crate) fn log_cut() -> Problem {
    Problem::new(Kind::Unavailable, "cli.log-cut", "the server ended the log")
        .detail("it may be restarting; lines from now on are not shown here")
        .hint("follow it again with: hop3 logs -f")
}

pub(crate) fn interrupted() -> Problem {
    Problem::new(Kind::Unavailable, "cli.interrupted", "the server ended in the middle of the deployment")
        .detail("what served before still serves")
        .hint("deploy again")
}

pub(crate) fn no_app() -> Problem {
    Problem::new(Kind::User, "cli.no-app", "it is not clear which app is meant").hint(
        "name it with -a APP (or HOP3_APP), or run this in a directory whose git remote hop3 points at the app",
    )
}

pub(crate) fn unreadable(path: &Path, cause: &io::Error) -> Problem {
    Problem::new(Kind::User, "cli.unreadable", format!("{} cannot be read", path.display()))
        .detail(cause.to_string())
}

pub(crate) fn unwritable(path: &Path, cause: &io::Error) -> Problem {
    Problem::new(Kind::User, "cli.unwritable", format!("{} cannot be written", path.display()))
        .detail(cause.to_string())
}

pub(crate) fn not_a_directory(path: &Path) -> Problem {
    Problem::new(Kind::User, "cli.not-a-directory", format!("{} is not a directory", path.display()))
        .hint("give the directory of the app: hop3 deploy DIR")
}

pub(crate) fn bad_login_file(path: &Path, cause: impl ToString) -> Problem {
    Problem::new(Kind::Config, "cli.bad-login-file", format!("{} is not readable as TOML", path.display()))
        .detail(cause.to_string())
        .hint("repair it, or delete it and log in again with: hop3 login URL")
}

pub(crate) fn unknown_command(word: &str, near: Option<&str>) -> Problem {
    let shown: String = word.chars().take(60).flat_map(char::escape_debug).collect();
    let problem = Problem::new(Kind::User, "cli.unknown-command", format!("there is no command \"{shown}\""))
        .detail(format!("neither is there a program hop3-{shown} in PATH"));
    match near {
        Some(near) => problem.hint(format!("did you mean: hop3 {near}")),
        None => problem.hint("see all commands with: hop3 help"),
    }
}

pub(crate) fn not_started(program: &Path, cause: &io::Error) -> Problem {
    Problem::new(Kind::Plugin, "cli.not-started", format!("{} could not be started", program.display()))
        .detail(cause.to_string())
}

pub(crate) fn not_confirmed(name: &str) -> Problem {
    Problem::new(Kind::User, "cli.not-confirmed", format!("what was to happen to {name} is not confirmed"))
        .detail("nothing was changed")
        .hint(format!("type its name when asked, or add: --confirm {name}"))
}

pub(crate) fn bad_argument(what: &str, value: &str, hint: &str) -> Problem {
    let shown: String = value.chars().take(60).flat_map(char::escape_debug).collect();
    Problem::new(Kind::User, "cli.bad-argument", format!("\"{shown}\" is not {what}")).hint(hint)
}

pub(crate) fn no_such_key(key: &str, app: &str) -> Problem {
    Problem::new(Kind::NotFound, "config.no-such-key", format!("{app} has no config variable {key}"))
        .hint(format!("see them with: hop3 config list -a {app}"))
}

pub(crate) fn no_token() -> Problem {
    Problem::new(Kind::User, "cli.no-token", "a token is needed to log in").hint(
        "make one on the server's machine with: hop3 token create NAME\nthen: hop3 login URL --token TOKEN (or the token on standard input)",
    )
}

pub(crate) fn no_cache(app: &AppName) -> Problem {
    Problem::new(Kind::NotFound, "proxy.no-cache", format!("the proxy keeps no answers of {app}"))
        .hint(format!("let it keep some: hop3 proxy set cache.on=true -a {app}"))
}

pub(crate) fn no_password() -> Problem {
    Problem::new(Kind::User, "cli.no-password", "a password is needed")
        .hint("type it, or give it on standard input: hop3 proxy password < FILE")
}

pub(crate) fn system(what: &str, cause: impl ToString) -> Problem {
    Problem::new(Kind::Unavailable, "cli.system", format!("{what} failed")).detail(cause.to_string())
}

pub(crate) fn plugin_not_confirmed(name: &PluginName, verb: &str) -> Problem {
    let title = format!("what is to happen to the plugin \"{name}\" is not confirmed");
    let word = if verb == "enable" { "--yes".to_owned() } else { format!("--confirm {name}") };
    Problem::new(Kind::User, "plugin.not-confirmed", title)
        .hint(format!("in scripts: hop3 plugin {verb} {name} {word}"))
}

pub(crate) fn not_a_key(path: &Path) -> Problem {
    Problem::new(Kind::User, "plugin.bad-private-key", format!("{} holds no key", path.display()))
        .hint("make one with: hop3 plugin key create FILE")
}

pub(crate) fn not_a_plugin(directory: &Path) -> Problem {
    let title = format!("{} holds no plugin", directory.display());
    Problem::new(Kind::User, "plugin.no-plugin", title)
        .hint("a plugin is a folder with a program hop3-plugin-NAME at its top")
}
