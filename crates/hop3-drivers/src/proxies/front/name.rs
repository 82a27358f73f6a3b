// SPDX-License-Identifier: Apache-2.0
//! What may stand in a configuration file as it is: host names and paths of letters, digits and a few signs, none of
//! which ends a word, opens a block, quotes or names a variable in any product.

use hop3_core::route::Host;

/// A host in lower case, without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostName(String);

impl HostName {
    /// `None` for what no file should hold.
    pub(crate) fn of(host: &Host) -> Option<HostName> {
        let text = host.0.trim_end_matches('.').to_ascii_lowercase();
        let rest = text.strip_prefix("*.").unwrap_or(&text);
        let is_address = rest.parse::<std::net::IpAddr>().is_ok();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let is_good = text.len() <= 253 && (is_address || rest.split('.').all(is_label));
        is_good.then_some(HostName(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As the name of a request's `Host`.
    pub(crate) fn in_requests(&self) -> String {
        if self.0.contains(':') { format!("[{}]", self.0) } else { self.0.clone() }
    }

    /// What stands behind the `*` of one that has it.
    pub(crate) fn beneath(&self) -> Option<&str> {
        self.0.strip_prefix('*')
    }

    pub(crate) fn is_address(&self) -> bool {
        self.0.parse::<std::net::IpAddr>().is_ok()
    }

    /// `*.` in place of its first label.
    pub(crate) fn wildcard(&self) -> Option<HostName> {
        let (_, rest) = self.0.split_once('.')?;
        (!self.is_address()).then(|| HostName(format!("*.{rest}")))
    }
}

/// A path that means the same wherever it is written. Empty is one.
pub(crate) fn is_plain_path(path: &str) -> bool {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b);
    let is_whole = path.is_empty() || path.starts_with('/');
    is_whole
        && path.len() <= 1024
        && path.bytes().all(is_good)
        && !path.contains("//")
        && !path.contains("/..")
        && !path.contains("/./")
}
