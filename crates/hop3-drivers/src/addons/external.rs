// SPDX-License-Identifier: Apache-2.0
//! `external`: a service that somebody else manages, known by its URL. Nothing runs here and nothing of it is carried;
//! it is checked, bound and replaced like every other addon. The URL is the addon's credential.

use super::address::Address;
use hop3_core::Problem;
use hop3_core::addon::{
    AddonServer, AddonStatus, Binding, ELSEWHERE, KindCapabilities, KindFacts, WantedAddon,
};
use hop3_core::driver::Addon;
use hop3_core::name::EnvKey;
use hop3_core::secret::Secret;
use std::collections::BTreeMap;

pub struct External;

/// The variable of a slot.
const VARIABLES: [(&str, &str); 7] = [
    ("database", "DATABASE_URL"),
    ("redis", "REDIS_URL"),
    ("amqp", "AMQP_URL"),
    ("nats", "NATS_URL"),
    ("memcached", "MEMCACHED_URL"),
    ("mail", "SMTP_URL"),
    ("s3", "S3_URL"),
];

impl Addon for External {
    fn facts(&self) -> KindFacts {
        KindFacts {
            kind: super::kind("external"),
            title: "a service managed elsewhere".to_owned(),
            slot: "service".to_owned(),
            versions: vec![ELSEWHERE.to_owned()],
            install: String::new(),
            capabilities: KindCapabilities { takes_secret: true, ..KindCapabilities::default() },
            options: super::options(&[
                ("variable", "what apps know the URL by; DATABASE_URL, REDIS_URL, … after its scheme"),
                ("check", "no: do not look whether its host answers"),
            ]),
            server_options: Vec::new(),
        }
    }

    fn serve(&self, _server: &AddonServer) -> Result<(), Problem> {
        Ok(())
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        let address = address(addon)?;
        let variable = variable(addon, &address)?;
        if checks(addon)? {
            address.check().map_err(|problem| {
                let hint = "look at the address; without this look: -o check=no";
                Problem { hint: hint.to_owned(), ..problem }
            })?;
        }
        Ok(binding(addon, &address, &variable))
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        let trouble = match checks(addon)? {
            true => address(addon)?.check().err(),
            false => None,
        };
        Ok(super::seen(trouble))
    }

    fn destroy(&self, _addon: &WantedAddon) -> Result<(), Problem> {
        Ok(())
    }

    fn retire(&self, _server: &AddonServer) -> Result<(), Problem> {
        Ok(())
    }
}

fn address(addon: &WantedAddon) -> Result<Address, Problem> {
    Address::parse(addon.credential().password.expose())
}

fn checks(addon: &WantedAddon) -> Result<bool, Problem> {
    super::yes_or_no(addon, "check", true)
}

fn variable(addon: &WantedAddon, address: &Address) -> Result<EnvKey, Problem> {
    let usual = VARIABLES.iter().find(|(slot, _)| *slot == address.slot()).map_or("SERVICE_URL", |(_, v)| *v);
    addon.settings.get("variable").map_or(usual, String::as_str).parse()
}

/// The URL as it was given, and its parts.
fn binding(addon: &WantedAddon, address: &Address, variable: &EnvKey) -> Binding {
    let stem = variable.as_str().strip_suffix("_URL").unwrap_or(variable.as_str());
    let parts = [
        ("HOST", Some(address.host.clone())),
        ("PORT", Some(address.port.to_string())),
        ("USER", address.user.clone()),
        ("PASSWORD", address.password.clone()),
        ("NAME", address.name.clone()),
    ];
    let part = |(part, value): (&str, Option<String>)| {
        // Too long a name is left out, as it is with a prefix.
        Some((format!("{stem}_{part}").parse().ok()?, Secret::new(value?)))
    };
    let mut variables: BTreeMap<EnvKey, Secret<String>> = parts.into_iter().filter_map(part).collect();
    variables.insert(variable.clone(), addon.credential().password.clone());
    Binding { variables, shell: Vec::new(), slot: Some(address.slot().to_owned()) }
}

#[cfg(test)]
pub(super) mod tests;
