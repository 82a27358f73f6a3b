// SPDX-License-Identifier: Apache-2.0
//! `Endpoints`: routes with their documentation, so that the OpenAPI 3.1 document is the router's own description.

use super::reply::Failure;
use crate::server::Server;
use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::MethodRouter;
use hop3_core::problem::{Kind, Problem};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};
use std::sync::Arc;

/// What an endpoint without a body takes or gives.
#[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
pub(super) struct Nothing {}

pub struct Endpoints {
    router: Router<Arc<Server>>,
    generator: SchemaGenerator,
    paths: serde_json::Map<String, Value>,
}

impl Default for Endpoints {
    fn default() -> Endpoints {
        let settings =
            SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
        Endpoints {
            router: Router::new(),
            generator: settings.into_generator(),
            paths: serde_json::Map::new(),
        }
    }
}

impl Endpoints {
    /// Adds one endpoint; `Req` and `Res` are `Nothing` where there is no body.
    #[must_use]
    pub fn on<Req: JsonSchema, Res: JsonSchema>(
        mut self,
        method: &Method,
        path: &str,
        summary: &str,
        handler: MethodRouter<Arc<Server>>,
    ) -> Endpoints {
        let request = self.generator.subschema_for::<Req>();
        let response = self.generator.subschema_for::<Res>();
        let problem = self.generator.subschema_for::<hop3_core::Problem>();
        let mut operation = json!({
            "summary": summary,
            "responses": {
                "200": { "description": "done", "content": { "application/json": { "schema": response } } },
                "default": { "description": "a problem", "content": { "application/json": { "schema": problem } } },
            },
        });
        if Req::schema_name() != Nothing::schema_name() {
            operation["requestBody"] = json!({ "content": { "application/json": { "schema": request } } });
        }
        let parameters: Vec<Value> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        if !parameters.is_empty() {
            operation["parameters"] = Value::from(parameters);
        }
        let entry = self.paths.entry(path).or_insert_with(|| json!({}));
        entry[method.as_str().to_lowercase()] = operation;
        self.router = self.router.route(path, handler);
        self
    }

    pub fn router(self, server: Arc<Server>) -> Router {
        self.router.fallback(unknown).method_not_allowed_fallback(unknown).with_state(server)
    }

    fn document(mut self) -> Value {
        json!({
            "openapi": "3.1.0",
            "info": { "title": "Hop3", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "Apache-2.0" } },
            "security": [{ "token": [] }],
            "paths": self.paths,
            "components": {
                "schemas": self.generator.take_definitions(true),
                "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            },
        })
    }
}

/// The OpenAPI document of the whole API.
pub fn openapi() -> Value {
    super::endpoints().document()
}

/// Every other method and path.
async fn unknown(method: Method, uri: Uri) -> Failure {
    let shown: String = uri.path().chars().take(100).flat_map(char::escape_debug).collect();
    Failure(
        Problem::new(Kind::NotFound, "api.unknown", format!("there is nothing for {method} {shown}"))
            .hint("the API is described at /api/openapi.json; apps are pushed to /git/NAME.git"),
    )
}
