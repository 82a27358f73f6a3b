// SPDX-License-Identifier: Apache-2.0
//! Step Bind: the environment of the next release. The files' `[env]` gives defaults, config set by people wins,
//! generated values are made once and kept as config. Addons that the files ask for are made and bound.

use super::{Context, late};
use crate::server::internal;
use crate::verb;
use hop3_core::name::EnvKey;
use hop3_core::problem::{Kind, Problem};
use hop3_core::settings::{EnvDefault, GeneratedForm, Settings};
use std::collections::BTreeMap;

pub(super) fn run(cx: &Context<'_>, settings: &Settings) -> Result<BTreeMap<EnvKey, String>, Problem> {
    domains(cx, settings)?;
    addons(cx, settings)?;
    settings.volumes.iter().try_for_each(|volume| verb::storage::wanted(cx, volume))?;
    let bound = verb::addon::environment(cx.server, &cx.app)?;
    cx.hide(bound.values());
    let mut environment = cx.server.store.config(&cx.app).map_err(internal)?;
    let mut generated = BTreeMap::new();
    for (key, default) in &settings.env {
        // What an addon says is more than a file's guess, and less than what a person set.
        if environment.contains_key(key) || bound.contains_key(key) {
            continue;
        }
        match default {
            EnvDefault::Literal(value) => environment.insert(key.clone(), value.clone()),
            EnvDefault::Own(what) => environment.insert(key.clone(), own(cx, what)?),
            EnvDefault::Generate { form, length } => {
                generated.insert(key.clone(), generate(*form, *length)?);
                None
            }
            EnvDefault::Computed(_) | EnvDefault::Addon { .. } => None,
        };
    }
    if !generated.is_empty() {
        cx.server.store.change_config(&cx.app, &generated, &[]).map_err(internal)?;
        cx.tell(hop3_core::event::Event::ConfigChanged {
            keys: generated.keys().map(ToString::to_string).collect(),
        });
    }
    environment.extend(generated);
    // Looked up again at every start; what cannot be found is told now.
    let late = late::resolve(cx.server, &cx.app, &late::of(settings), &environment)?;
    cx.hide(environment.values().chain(late.values()));
    Ok(environment)
}

/// Addons the files ask for: made and bound when they are not there. They outlive a deployment that fails, and the app.
fn addons(cx: &Context<'_>, settings: &Settings) -> Result<(), Problem> {
    for wanted in &settings.addons {
        if let Some(made) = verb::addon::provide(cx.server, &cx.app, wanted)? {
            cx.say(&format!("{made} is there: {}", wanted.kind));
        }
    }
    Ok(())
}

/// Domains the files ask for; one that another app has fails the deployment before anything is switched. Undo takes
/// away those that are new.
fn domains(cx: &Context<'_>, settings: &Settings) -> Result<(), Problem> {
    let before = cx.server.store.domains(&cx.app).map_err(internal)?;
    let wanted = settings.domains.iter().chain(verb::tcp::domains(cx.server, &cx.app, &settings.tcp));
    for domain in wanted.filter(|domain| !before.contains(domain)) {
        verb::domain::check(cx.server, domain)?;
        if let Some(owner) = cx.server.store.add_domain(&cx.app, domain).map_err(internal)? {
            return Err(Problem::new(
                Kind::Conflict,
                "domain.taken",
                format!("the domain {domain} belongs to another app"),
            )
            .detail(format!("it was added to \"{owner}\""))
            .hint(format!("take it away there first: hop3 domain remove {domain} -a {owner}")));
        }
        let (server, app, added) = (cx.server.clone(), cx.app.clone(), domain.clone());
        cx.undo(format!("remove the domain {domain}"), move || {
            server.store.remove_domain(&app, &added).map_err(internal)?;
            crate::reconcile::route(&server, &app)
        });
    }
    Ok(())
}

fn own(cx: &Context<'_>, what: &str) -> Result<String, Problem> {
    let domains = cx.server.store.domains(&cx.app).map_err(internal)?;
    let host = domains.first().map_or_else(|| cx.server.site.host_of(&cx.app.name), ToString::to_string);
    Ok(match what {
        "name" => cx.app.name.to_string(),
        "url" => cx.server.site.url_of(&host),
        _ => host,
    })
}

fn generate(form: GeneratedForm, length: u32) -> Result<String, Problem> {
    let alphabet: &[u8] = match form {
        GeneratedForm::Uuid => return uuid(),
        GeneratedForm::Hex => b"0123456789abcdef",
        GeneratedForm::Base64 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        GeneratedForm::Urlsafe => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        // Without characters that look alike.
        GeneratedForm::Password => b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789",
    };
    let limit = 256 - 256 % alphabet.len();
    let mut out = String::new();
    while out.len() < length as usize {
        // Bytes at or above the limit would favour the alphabet's start.
        let bytes = crate::random::bytes::<64>().map_err(internal)?;
        let fair = bytes.iter().map(|&b| b as usize).filter(|&b| b < limit);
        out.extend(fair.take(length as usize - out.len()).map(|b| alphabet[b % alphabet.len()] as char));
    }
    Ok(out)
}

/// A version 4 UUID (RFC 9562).
fn uuid() -> Result<String, Problem> {
    let mut b = crate::random::bytes::<16>().map_err(internal)?;
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let hex: String = b.iter().map(|x| format!("{x:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
