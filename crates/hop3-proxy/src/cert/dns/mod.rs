// SPDX-License-Identifier: Apache-2.0
//! `Record`: the TXT record that proves a domain (RFC 8555 §8.4): written through a driver, waited for until the
//! servers of its zone show it, and taken away.

mod hook;
mod message;
mod seen;
pub(crate) mod update;

use crate::cert::acme::Fault;
use crate::limit::AcmeLimits;
use hop3_core::Problem;
use hop3_core::acme::DnsDriver;
use hop3_core::layout::Layout;

pub(crate) struct Record<'a> {
    driver: &'a DnsDriver,
    limits: &'a AcmeLimits,
    /// `_acme-challenge.` and the domain, without a dot at its end.
    fqdn: String,
    value: String,
}

/// Looks at a driver before it is kept.
pub(crate) fn check(driver: &DnsDriver, layout: &Layout) -> Result<(), Problem> {
    match driver {
        DnsDriver::Hook { path, .. } => hook::check(path, layout),
        DnsDriver::Update(update) => update::check(update),
    }
}

impl<'a> Record<'a> {
    pub(crate) fn new(
        driver: &'a DnsDriver,
        domain: &str,
        value: String,
        limits: &'a AcmeLimits,
    ) -> Record<'a> {
        Record { driver, limits, fqdn: format!("_acme-challenge.{domain}"), value }
    }

    /// Returns when every server that was reached shows the record.
    pub(crate) async fn publish(&self) -> Result<(), Fault> {
        match self.driver {
            DnsDriver::Hook { path, resolver } => {
                hook::run(path, "present", self).await?;
                seen::wait(self, *resolver, None).await
            }
            DnsDriver::Update(update) => {
                update::change(update, self, update::Change::Add).await?;
                seen::wait(self, None, Some(update.server)).await
            }
        }
    }

    /// A record that stays harms nobody, so that a failure is only told in the log.
    pub(crate) async fn withdraw(&self) {
        let done = match self.driver {
            DnsDriver::Hook { path, .. } => hook::run(path, "cleanup", self).await,
            DnsDriver::Update(update) => update::change(update, self, update::Change::Remove).await,
        };
        if let Err(fault) = done {
            tracing::warn!(record = self.fqdn, why = fault.problem.detail, "{}", fault.problem.title);
        }
    }
}
