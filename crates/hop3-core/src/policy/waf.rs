// SPDX-License-Identifier: Apache-2.0
//! `Waf`: requests are compared with the rules of the request filter.

use super::PathPattern;
use crate::{Kind, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Waf {
    pub mode: WafMode,
    /// From 1, few rules, to 4, all of them.
    pub paranoia: u8,
    /// Paths that are not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<PathPattern>,
    /// Rules that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<u32>,
}

/// What is done with a request that the rules would stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WafMode {
    /// Nothing is looked at.
    Off,
    /// It passes, and is noted.
    Detect,
    /// It is answered with 403.
    Block,
}

impl FromStr for WafMode {
    type Err = Problem;

    fn from_str(text: &str) -> Result<WafMode, Problem> {
        match text {
            "off" => Ok(WafMode::Off),
            "detect" => Ok(WafMode::Detect),
            "block" => Ok(WafMode::Block),
            _ => Err(Problem::new(Kind::Config, "config.bad-value", "this is no mode of the request filter")
                .hint("off, detect or block")),
        }
    }
}
