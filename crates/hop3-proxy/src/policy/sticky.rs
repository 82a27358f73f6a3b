// SPDX-License-Identifier: Apache-2.0
//! Keeps a visitor at one instance, by a cookie that names it in a form nobody else can make.

use super::key::Key;
use crate::upstream::Upstream;
use std::sync::Arc;

pub(super) const COOKIE: &str = "hop3-instance";

pub(super) fn find<'p>(upstreams: &'p [Arc<Upstream>], key: &Key, cookie: &str) -> Option<&'p Arc<Upstream>> {
    upstreams.iter().find(|upstream| key.token(&upstream.id) == cookie)
}

/// For the session of the browser, out of reach of scripts.
pub(super) fn line(token: &str) -> String {
    format!("Set-Cookie: {COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax\r\n")
}
