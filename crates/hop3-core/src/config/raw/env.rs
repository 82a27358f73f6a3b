// SPDX-License-Identifier: Apache-2.0
//! `[env]`: variables beside the two keys `_policy` and `computed`, hence read by hand, keys with their places.

use super::{Policy, Text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;

/// `[env]`.
#[derive(Debug, Default)]
pub(crate) struct Env {
    pub(crate) policy: Option<Policy>,
    pub(crate) computed: BTreeMap<Text, Text>,
    pub(crate) values: BTreeMap<Text, Spanned<EnvValue>>,
}

/// A value: text, a number or a truth value, or a table that says where it comes from.
#[derive(Debug)]
pub(crate) enum EnvValue {
    Literal(String),
    Table(Box<EnvTable>),
}

/// A value that Hop3 finds.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct EnvTable {
    /// Makes a random value once and keeps it: `hex`, `base64`, `urlsafe`, `password` or `uuid`.
    #[schemars(with = "Option<String>")]
    pub(crate) generate: Option<Text>,
    /// Characters of the generated value. 32 unless set.
    #[schemars(with = "Option<u32>")]
    pub(crate) length: Option<Spanned<u32>>,
    /// Text before the generated value.
    pub(crate) prefix: Option<String>,
    /// Whether the value is shown after the first deployment.
    pub(crate) display: Option<bool>,
    /// A bound addon the value comes from; `key` names the variable.
    #[schemars(with = "Option<String>")]
    pub(crate) from: Option<Text>,
    /// Something of the app's own: `domain`, `hostname`, `name` or `url`; with `from`, a variable of the addon.
    #[schemars(with = "Option<String>")]
    pub(crate) key: Option<Text>,
    /// The machine's address as the world sees it.
    #[serde(alias = "external_ip")]
    pub(crate) external_ip: Option<bool>,
}

impl JsonSchema for Env {
    fn schema_name() -> Cow<'static, str> {
        "Env".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<EnvTable>();
        let policy = generator.subschema_for::<Option<Policy>>();
        json_schema!({
            "type": "object",
            "description": "`[env]`.",
            "properties": {
                "_policy": policy,
                "computed": {
                    "description": "Variables made of others: `${OTHER}` is replaced.",
                    "type": "object",
                    "additionalProperties": { "type": "string" },
                },
            },
            "additionalProperties": { "anyOf": [{ "type": ["string", "number", "boolean"] }, table] },
        })
    }
}

impl<'de> Deserialize<'de> for Env {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Env, D::Error> {
        deserializer.deserialize_map(EnvVisitor)
    }
}

struct EnvVisitor;

impl<'de> Visitor<'de> for EnvVisitor {
    type Value = Env;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of variables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Env, A::Error> {
        let mut env = Env::default();
        while let Some(key) = map.next_key::<Text>()? {
            match key.get_ref().as_str() {
                "_policy" => env.policy = Some(map.next_value()?),
                "computed" => env.computed = map.next_value()?,
                _ => drop(env.values.insert(key, map.next_value()?)),
            }
        }
        Ok(env)
    }
}

impl<'de> Deserialize<'de> for EnvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EnvValue, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = EnvValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number, true, false or a table")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<EnvValue, E> {
        Ok(EnvValue::Literal(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<EnvValue, E> {
        Ok(EnvValue::Literal(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<EnvValue, E> {
        Ok(EnvValue::Literal(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<EnvValue, E> {
        Ok(EnvValue::Literal(number.to_string()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<EnvValue, E> {
        Ok(EnvValue::Literal(truth.to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EnvValue, A::Error> {
        Ok(EnvValue::Table(Box::new(EnvTable::deserialize(MapAccessDeserializer::new(map))?)))
    }
}
