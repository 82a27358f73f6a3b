// SPDX-License-Identifier: Apache-2.0
//! Variables that are looked up whenever a process is about to start: what bound addons say, and what is computed of
//! other variables. So a password that was changed is known everywhere it is used.

use crate::server::Server;
use crate::store::App;
use crate::verb;
use hop3_core::name::EnvKey;
use hop3_core::problem::{Kind, Problem};
use hop3_core::settings::{EnvDefault, Settings};
use std::collections::BTreeMap;

type Defaults = BTreeMap<EnvKey, EnvDefault>;

/// Those of the files' `[env]`.
pub(super) fn of(settings: &Settings) -> Defaults {
    let is_late =
        |default: &EnvDefault| matches!(default, EnvDefault::Computed(_) | EnvDefault::Addon { .. });
    let late = settings.env.iter().filter(|(_, default)| is_late(default));
    late.map(|(key, default)| (key.clone(), default.clone())).collect()
}

/// Everything beside the config: what is bound, then what the files refer to. `config` wins over all of it.
pub(super) fn resolve(
    server: &Server,
    app: &App,
    late: &Defaults,
    config: &BTreeMap<EnvKey, String>,
) -> Result<BTreeMap<EnvKey, String>, Problem> {
    let mut values = verb::addon::environment(server, app)?;
    for (key, default) in late {
        if let EnvDefault::Addon { addon, key: variable } = default {
            values.insert(key.clone(), verb::addon::variable(server, app, addon, variable)?);
        }
    }
    values.extend(config.clone());
    // Computed values do not see each other.
    let known = values.clone();
    for (key, default) in late.iter().filter(|(key, _)| !config.contains_key(*key)) {
        if let EnvDefault::Computed(template) = default {
            values.insert(key.clone(), compute(key, template, &known)?);
        }
    }
    Ok(values)
}

/// Replaces `${KEY}` by variables that are there.
fn compute(key: &EnvKey, template: &str, environment: &BTreeMap<EnvKey, String>) -> Result<String, Problem> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        let value = name.parse::<EnvKey>().ok().and_then(|name| environment.get(&name)).ok_or_else(|| {
            Problem::new(
                Kind::Config,
                "config.unknown-reference",
                format!("{key} refers to ${{{name}}}, which is not set"),
            )
            .hint(format!("set it with: hop3 config set {name}=…"))
        })?;
        out.push_str(value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}
