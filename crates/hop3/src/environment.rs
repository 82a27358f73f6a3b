// SPDX-License-Identifier: Apache-2.0
//! The operator's environment that builds get: how package registries are reached. Read here and nowhere else.

use std::collections::BTreeMap;

/// Whole names, compared without regard to case.
const NAMES: &[&str] = &[
    "all_proxy",
    "bundle_mirror__all",
    "composer_repo_packagist",
    "curl_ca_bundle",
    "git_ssl_cainfo",
    "goflags",
    "gonosumdb",
    "goprivate",
    "goproxy",
    "gosumdb",
    "hex_mirror",
    "http_proxy",
    "https_proxy",
    "maven_opts",
    "no_proxy",
    "node_extra_ca_certs",
    "requests_ca_bundle",
    "ssl_cert_dir",
    "ssl_cert_file",
];

/// Families of names: the settings of package managers themselves.
const PREFIXES: &[&str] = &["cargo_http_", "cargo_net_", "cargo_registries_", "npm_config_", "pip_", "uv_"];

/// Variables to hand to builds.
pub(crate) fn for_builds() -> BTreeMap<String, String> {
    let wanted = |name: &str| {
        let name = name.to_ascii_lowercase();
        NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| wanted(name))
        .collect()
}
