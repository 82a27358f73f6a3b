// SPDX-License-Identifier: Apache-2.0
//! Paths that authors write: directories stay beneath the app, URL paths stay paths. Refused here, once, so that no
//! later stage meets `..`, an absolute address or a line end.

use crate::problem::{Kind, Problem};

/// A directory inside the app, relative, `.` for the app itself. Gives it without `./` and trailing slash.
pub(super) fn directory(text: &str) -> Result<String, Problem> {
    let refuse = |why: &str| {
        Err(Problem::new(
            Kind::Config,
            "config.bad-directory",
            format!("a directory of the app is wanted, but {why}"),
        )
        .hint("write it relative to the top of the app, for example \"public\""))
    };
    if text.is_empty() || text.len() > 1024 {
        return refuse("this is empty or longer than 1024 characters");
    }
    if text.starts_with(['/', '~']) {
        return refuse("this is an absolute path");
    }
    if text.starts_with('-') || text.chars().any(|c| c.is_control() || c == '\\') {
        return refuse("this holds a character that does not belong into a path");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return refuse("this leads out of it");
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// The path of a URL: begins with one `/`, no `..` in any spelling, nothing but printable ASCII.
pub(crate) fn url_path(text: &str) -> Result<String, Problem> {
    let refuse = |why: &str| {
        Err(Problem::new(
            Kind::Config,
            "config.bad-url-path",
            format!("the path of a URL is wanted, but this {why}"),
        )
        .hint("write a path that begins with one slash, for example \"/health\""))
    };
    if !text.starts_with('/') || text.starts_with("//") {
        return refuse("does not begin with a single slash");
    }
    if text.len() > 1024 {
        return refuse("is longer than 1024 characters");
    }
    if text.chars().any(|c| !c.is_ascii_graphic() || matches!(c, '\\' | '#' | '"' | '<' | '>')) {
        return refuse("holds a character that must be percent-encoded");
    }
    let plain = text.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    if plain.split(['/', '?']).any(|part| part == "..") {
        return refuse("climbs with \"..\"");
    }
    Ok(text.to_owned())
}
