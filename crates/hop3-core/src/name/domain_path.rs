// SPDX-License-Identifier: Apache-2.0
//! `DomainPath`: what an app answers of the outside world: a host name, or a path of one (`example.org/api`).

use super::Domain;
use crate::config::url_path;
use crate::problem::{Kind, Problem};
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DomainPath {
    pub domain: Domain,
    /// Begins with `/`, does not end with it; absent for the whole domain.
    pub path: Option<String>,
}

impl FromStr for DomainPath {
    type Err = Problem;

    fn from_str(text: &str) -> Result<DomainPath, Problem> {
        let (domain, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let path = path.trim_end_matches('/');
        if path.contains(['?', '%', '*']) || path.contains("//") || path.contains("/.") {
            return Err(Problem::new(Kind::User, "domain.bad-path", "this is no path an app can answer for")
                .hint("write a plain path, for example example.org/api"));
        }
        let path = if path.is_empty() { None } else { Some(url_path(path)?) };
        Ok(DomainPath { domain: domain.parse()?, path })
    }
}

impl fmt::Display for DomainPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.domain, self.path.as_deref().unwrap_or_default())
    }
}

impl From<DomainPath> for String {
    fn from(place: DomainPath) -> String {
        place.to_string()
    }
}

impl From<Domain> for DomainPath {
    fn from(domain: Domain) -> DomainPath {
        DomainPath { domain, path: None }
    }
}

crate::policy::as_text!(DomainPath);
