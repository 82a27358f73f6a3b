// SPDX-License-Identifier: Apache-2.0
//! Expiry: warns 20, 10, 5 and 1 days before a certificate's end. One that is renewed by itself is renewed long
//! before, so a warning about it says that renewing fails. Each warning is given once.

use crate::server::Server;
use crate::store::{App, now_ms};
use hop3_core::certificate::{CertificateInfo, CertificateOrigin};
use hop3_core::event::Event;
use hop3_core::name::AppName;
use std::sync::Arc;
use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(60 * 60);
/// Days before the end at which there is a warning.
const DAYS: [u64; 4] = [1, 5, 10, 20];
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

pub(super) fn run(server: &Arc<Server>) {
    loop {
        // A proxy that is away is being started again; the next round will find it.
        if let Ok(certificates) = server.drivers.certificates.list() {
            warn_of_expiry(server, &certificates);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Tells those whose certificates are near their end, unless they were told.
pub(crate) fn warn_of_expiry(server: &Server, certificates: &[CertificateInfo]) {
    let now = now_ms();
    // What the internal authority signs is signed anew when it is asked for.
    for one in certificates.iter().filter(|one| one.served && one.origin != CertificateOrigin::Internal) {
        let left = one.not_after_ms.saturating_sub(now);
        let Some(days) = DAYS.into_iter().find(|days| left <= days * DAY_MS) else { continue };
        let (name, not_after_ms) = (one.name.clone(), one.not_after_ms);
        let warning = |waiting| {
            let name = name.clone();
            Event::CertificateExpiryWarned { name, days, not_after_ms, waiting }
        };
        let owner = owner(server, &one.name);
        // What keeps it from being renewed may be another thing each hour.
        match server.store.has_event_like(owner.as_ref(), &warning(None)) {
            Ok(false) => server.record(owner.as_ref(), None, warning(one.waiting.clone())),
            Ok(true) => {}
            Err(error) => tracing::error!(error = format!("{error:#}"), "events cannot be read"),
        }
        tracing::warn!(name = one.name, days, "a certificate expires soon");
    }
}

/// The app that answers for a host; none for the server's own.
fn owner(server: &Server, host: &str) -> Option<App> {
    let beneath = host.strip_suffix(&server.site.domain).and_then(|rest| rest.strip_suffix('.'));
    if let Some(name) = beneath.and_then(|name| name.parse::<AppName>().ok()) {
        return server.store.app(&name).ok().flatten();
    }
    server.store.app_of_domain(host).ok().flatten()
}
