// SPDX-License-Identifier: Apache-2.0
//! Tells browsers to use HTTPS alone (RFC 6797), over HTTPS: said by plain HTTP it would mean nothing.

use super::edit::Edit;
use hop3_core::policy::Hsts;

pub(super) fn tell(hsts: Option<&Hsts>, is_secure: bool, edit: &mut Edit) {
    let Some(hsts) = hsts.filter(|hsts| hsts.on && is_secure) else { return };
    let subdomains = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if hsts.preload { "; preload" } else { "" };
    edit.set("Strict-Transport-Security", &format!("max-age={}{subdomains}{preload}", hsts.max_age));
}
