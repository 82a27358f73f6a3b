// SPDX-License-Identifier: Apache-2.0
//! `acme`: which authorities are asked for certificates, on whose behalf, and how a host is proven to be ours. As an
//! administrator says it (`AcmeChange`), as it is shown (`AcmeShown`), and as it lies on disk (`Acme`).

use crate::problem::{Kind, Problem};
use crate::secret::{Secret, exposed, exposed_option};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Authorities known by name, and the address of each one's directory.
const KNOWN: &[(&str, &str)] = &[
    ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
    ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
    ("zerossl", "https://acme.zerossl.com/v2/DV90"),
];

/// Ends of names that no public authority issues for (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`).
const SPECIAL: &[&str] = &["local", "home.arpa", "internal", "lan", "test", "invalid", "example", "onion"];

/// How a host is proven to be ours (RFC 8555 §8, RFC 8737). Wildcards can only be proven by DNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ChallengeKind {
    /// The authority asks for a file at port 80.
    #[default]
    #[serde(rename = "http-01")]
    Http01,
    /// The authority connects to port 443 and looks at the certificate.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// The authority looks for a TXT record.
    #[serde(rename = "dns-01")]
    Dns01,
}

impl ChallengeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ChallengeKind::Http01 => "http-01",
            ChallengeKind::TlsAlpn01 => "tls-alpn-01",
            ChallengeKind::Dns01 => "dns-01",
        }
    }
}

impl std::str::FromStr for ChallengeKind {
    type Err = String;

    fn from_str(text: &str) -> Result<ChallengeKind, String> {
        [ChallengeKind::Http01, ChallengeKind::TlsAlpn01, ChallengeKind::Dns01]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| "it is none of http-01, tls-alpn-01, dns-01".into())
    }
}

/// Everything the proxy must know to obtain certificates; lies in `certs/acme.json`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Acme {
    /// Asked in this order; the next one when one fails.
    pub authorities: Vec<Authority>,
    /// Mail addresses that an authority may write to.
    pub contact: Vec<String>,
    /// Somebody has agreed to the authorities' terms of service. Without it nobody is asked for anything.
    pub agreed: bool,
    pub challenge: ChallengeKind,
    pub dns: Option<DnsDriver>,
}

/// A certificate authority.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Address of its directory (RFC 8555 §7.1.1).
    pub directory: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eab: Option<Eab>,
    /// PEM of the roots its own HTTPS is checked against, instead of the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_pem: Option<String>,
}

/// External account binding: what an authority handed out to its customer (RFC 8555 §7.3.4).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Eab {
    pub kid: String,
    /// Base64url.
    #[serde(with = "exposed")]
    #[schemars(with = "String")]
    pub hmac: Secret<String>,
}

/// Who writes TXT records.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DnsDriver {
    /// A program, run as `PATH present|cleanup FQDN VALUE`.
    Hook {
        path: PathBuf,
        /// `address:port` of whom to ask where the record is seen, instead of the machine's resolver.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolver: Option<SocketAddr>,
    },
    /// Dynamic updates (RFC 2136) at the zone's primary server, signed where a key is given (RFC 8945).
    Update(DnsUpdate),
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DnsUpdate {
    /// `address:port` of the server that takes updates.
    pub server: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_algorithm: Option<String>,
    /// Base64, as `tsig-keygen` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "exposed_option")]
    #[schemars(with = "Option<String>")]
    pub key: Option<Secret<String>>,
}

/// `PUT /api/acme`: what is absent stays as it is.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AcmeChange {
    /// Names or directory addresses, in the order they are asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agree_tos: Option<bool>,
    /// Belongs to the last authority of the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eab: Option<Eab>,
    /// Belongs to the last authority of the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_pem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsDriver>,
}

impl fmt::Debug for AcmeChange {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeChange").field("authorities", &self.authorities).finish_non_exhaustive()
    }
}

/// `GET /api/acme`: the settings without their secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcmeShown {
    /// Certificates are obtained.
    pub on: bool,
    pub agreed: bool,
    pub authorities: Vec<AuthorityShown>,
    pub contact: Vec<String>,
    pub challenge: ChallengeKind,
    /// The hook's path, or the server that takes updates and the name of the key they are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    #[serde(default)]
    pub waiting: Vec<Waiting>,
}

/// A name that waits for a certificate because something failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    pub name: String,
    /// What went wrong last, in the authority's words.
    pub problem: Problem,
    /// In a row.
    pub failures: u32,
    /// Not tried before, in milliseconds of Unix time.
    pub next_ms: u64,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { title, detail, .. } = &self.problem;
        write!(f, "the last try to obtain another failed: {title}")?;
        if !detail.is_empty() {
            write!(f, " ({})", detail.replace('\n', "; "))?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuthorityShown {
    /// As it is known, or its directory's address.
    pub name: String,
    pub directory: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eab_kid: Option<String>,
    pub own_root: bool,
}

impl Authority {
    /// One that is known by name, or any directory address.
    ///
    /// # Errors
    /// Neither a name that is known nor an `https` address.
    pub fn named(name: &str) -> Result<Authority, Problem> {
        let known = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, directory)| *directory);
        let directory = known.or_else(|| is_https(name).then_some(name)).ok_or_else(|| {
            Problem::new(Kind::User, "acme.unknown-authority", format!("no authority is called \"{name}\""))
                .hint("name letsencrypt, letsencrypt-staging or zerossl, or give the https address of a directory")
        })?;
        Ok(Authority { directory: directory.to_owned(), eab: None, root_pem: None })
    }

    pub fn name(&self) -> &str {
        KNOWN
            .iter()
            .find(|(_, directory)| *directory == self.directory)
            .map_or(&self.directory, |(name, _)| name)
    }

    /// Private authorities issue for what they like, public ones not for names that are special; none for this
    /// machine itself.
    pub fn may_issue(&self, host: &str) -> bool {
        let is_public = self.name() != self.directory;
        let is_beneath =
            |end: &str| host.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        !(is_beneath("localhost") || is_public && SPECIAL.iter().any(|end| is_beneath(end)))
    }
}

fn is_https(text: &str) -> bool {
    let rest = text.strip_prefix("https://");
    rest.is_some_and(|rest| rest.contains(|c: char| c.is_ascii_alphanumeric()))
        && text.chars().all(|c| c.is_ascii_graphic())
}

impl Acme {
    pub fn is_on(&self) -> bool {
        self.agreed && !self.authorities.is_empty()
    }

    /// The settings with a change.
    ///
    /// # Errors
    /// What is asked for cannot be.
    pub fn changed(&self, change: AcmeChange) -> Result<Acme, Problem> {
        let mut next = self.clone();
        if let Some(names) = &change.authorities {
            next.authorities = names.iter().map(|name| self.known(name)).collect::<Result<_, _>>()?;
        } else if next.authorities.is_empty() {
            next.authorities = vec![Authority::named("letsencrypt")?];
        }
        if change.eab.is_some() || change.root_pem.is_some() {
            let last = next.authorities.last_mut().ok_or_else(no_authority)?;
            last.eab = change.eab.or(last.eab.take());
            last.root_pem = change.root_pem.or(last.root_pem.take());
        }
        if let Some(contact) = change.contact {
            next.contact = contact.iter().map(|mail| address(mail)).collect::<Result<_, _>>()?;
        }
        next.agreed = change.agree_tos.unwrap_or(next.agreed);
        next.dns = change.dns.or(next.dns);
        next.challenge = change.challenge.unwrap_or(next.challenge);
        if next.challenge == ChallengeKind::Dns01 && next.dns.is_none() {
            return Err(Problem::new(Kind::User, "acme.no-dns", "nobody is named who writes DNS records")
                .hint("name a program with --dns-hook, or a server that takes updates with --dns-server"));
        }
        Ok(next)
    }

    /// One that is asked already keeps its binding and roots.
    fn known(&self, name: &str) -> Result<Authority, Problem> {
        let named = Authority::named(name)?;
        let known = self.authorities.iter().find(|known| known.directory == named.directory);
        Ok(known.cloned().unwrap_or(named))
    }

    pub fn shown(&self) -> AcmeShown {
        let authorities = self.authorities.iter().map(|authority| AuthorityShown {
            name: authority.name().to_owned(),
            directory: authority.directory.clone(),
            eab_kid: authority.eab.as_ref().map(|eab| eab.kid.clone()),
            own_root: authority.root_pem.is_some(),
        });
        AcmeShown {
            on: self.is_on(),
            agreed: self.agreed,
            authorities: authorities.collect(),
            contact: self.contact.clone(),
            challenge: self.challenge,
            dns: self.dns.as_ref().map(DnsDriver::shown),
            waiting: Vec::new(),
        }
    }
}

impl DnsDriver {
    fn shown(&self) -> String {
        match self {
            DnsDriver::Hook { path, .. } => path.display().to_string(),
            DnsDriver::Update(update) => match &update.key_name {
                Some(key) => format!("{} with key {key}", update.server),
                None => update.server.to_string(),
            },
        }
    }
}

fn no_authority() -> Problem {
    Problem::new(Kind::User, "acme.no-authority", "no authority is named")
        .hint("name one with: hop3 cert acme set --ca letsencrypt")
}

fn address(mail: &str) -> Result<String, Problem> {
    let mail = mail.strip_prefix("mailto:").unwrap_or(mail);
    let good = mail.split_once('@').is_some_and(|(who, host)| !who.is_empty() && host.contains('.'))
        && mail.len() <= 254
        && mail.chars().all(|c| c.is_ascii_graphic() && !",?<>".contains(c));
    if good {
        return Ok(mail.to_owned());
    }
    Err(Problem::new(Kind::User, "acme.bad-contact", "the contact is not a mail address").detail(mail))
}

#[cfg(test)]
mod tests;
