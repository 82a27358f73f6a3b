// SPDX-License-Identifier: Apache-2.0
//! Keeps a visitor at one instance, by a cookie that names it in a form nobody else can make.

use super::key::Key;
use crate::upstream::Upstream;
use std::sync::Arc;

pub(super) const COOKIE: &str = "hop3-instance";

pub(super) fn find<'p>(upstreams: &'p [Arc<Upstream>], key: &Key, cookie: &str) -> Option<&'p Arc<Upstream>> {
    upstreams.iter().find(|upstream| key.token(&upstream.id) == cookie)
}

/// A cookie for the session of the browser, out of reach of scripts.
pub(super) fn line(name: &str, value: &str, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("Set-Cookie: {name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}\r\n")
}
