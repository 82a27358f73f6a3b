// SPDX-License-Identifier: Apache-2.0
//! The lines (JSON-RPC 2.0): a request with a number, an answer with the same number.

use crate::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A line to the plugin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// `2.0`.
    pub jsonrpc: String,
    pub id: u64,
    /// `hello`, `builder.plan`, …
    pub method: String,
    pub params: Value,
}

impl Request {
    pub fn new(id: u64, method: &str, params: Value) -> Request {
        Request { jsonrpc: "2.0".to_owned(), id, method: method.to_owned(), params }
    }
}

/// A line from the plugin: with `result`, or with `error`. A line without `id` is passed over.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// `2.0`.
    pub jsonrpc: String,
    /// That of the request.
    #[serde(default)]
    pub id: Option<u64>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub result: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Why there is no result.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    pub code: i64,
    /// One sentence.
    pub message: String,
    /// A whole problem, for example one that the author of an app must mend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Problem>,
}
