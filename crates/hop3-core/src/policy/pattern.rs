// SPDX-License-Identifier: Apache-2.0
//! Paths as policies name them: `/about` is that path alone, `/old/*` everything beneath `/old`, itself included.
//! There are no other patterns, so matching takes time in proportion to the path, whatever was written.

use super::as_text;
use crate::config::url_path;
use crate::problem::{Kind, Problem};
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// Without the `*` and the slash before it.
    path: String,
    is_prefix: bool,
}

impl PathPattern {
    /// Every path.
    pub fn all() -> PathPattern {
        PathPattern { path: String::new(), is_prefix: true }
    }

    /// What follows the part that is named: empty, or beginning with a slash. `path` is without its query.
    pub fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.path.as_str())?;
        let fits = rest.is_empty() || (self.is_prefix && rest.starts_with('/'));
        fits.then_some(rest)
    }

    /// The path with that rest in place of the `*`. Never begins with two slashes: that would name a host.
    pub fn with(&self, rest: &str) -> String {
        if !self.is_prefix {
            return self.path.clone();
        }
        let rest = rest.trim_start_matches(['/', '\\']);
        match (self.path.as_str(), rest) {
            (path, "") if !path.is_empty() => path.to_owned(),
            (path, rest) => format!("{path}/{rest}"),
        }
    }
}

impl FromStr for PathPattern {
    type Err = Problem;

    fn from_str(text: &str) -> Result<PathPattern, Problem> {
        let (path, is_prefix) = text.strip_suffix("/*").map_or((text, false), |path| (path, true));
        // `//*` would lead to the host that a visitor names.
        if path.contains(['*', '?']) || (path == "/" && is_prefix) {
            return Err(Problem::new(
                Kind::Config,
                "config.bad-pattern",
                "a path cannot be matched like this",
            )
            .hint("write a path, or one that ends in /* for everything beneath it"));
        }
        if !path.is_empty() || !is_prefix {
            url_path(path)?;
        }
        Ok(PathPattern { path: path.to_owned(), is_prefix })
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> String {
        if pattern.is_prefix { pattern.path + "/*" } else { pattern.path }
    }
}

as_text!(PathPattern);

/// Where a redirect leads: a path here, or an address elsewhere that the author wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `https://example.org`, or empty.
    site: String,
    path: PathPattern,
}

impl Place {
    pub fn with(&self, rest: &str) -> String {
        format!("{}{}", self.site, self.path.with(rest))
    }
}

impl FromStr for Place {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Place, Problem> {
        let Some(scheme) = ["https://", "http://"].into_iter().find(|scheme| text.starts_with(scheme)) else {
            return Ok(Place { site: String::new(), path: text.parse()? });
        };
        let rest = &text[scheme.len()..];
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-.:".contains(&b);
        // A rest cannot become part of the host: the path begins with a slash of its own.
        if !(1..=255).contains(&host.len()) || !host.bytes().all(allowed) || path.is_empty() {
            return Err(Problem::new(Kind::Config, "config.bad-address", "a redirect cannot lead there")
                .hint("write a path, or an address with host and path: https://example.org/new/*"));
        }
        Ok(Place { site: format!("{scheme}{host}"), path: path.parse()? })
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        place.site + &String::from(place.path)
    }
}

as_text!(Place);

#[cfg(test)]
mod tests;
