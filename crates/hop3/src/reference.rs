// SPDX-License-Identifier: Apache-2.0
//! `hop3 reference PAGE` (hidden): the pages of docs/src/reference/ that are made from the code. A test compares them
//! with what is committed.

use crate::command::{Arguments, ReferencePage};
use clap::CommandFactory;
use serde_json::Value;
use std::io::Write;
use std::process::ExitCode;

pub(crate) fn run(page: ReferencePage) -> ExitCode {
    let text = match page {
        ReferencePage::Cli => hop3_cli::command_reference(Arguments::command()),
        ReferencePage::Hop3Toml => hop3_toml(),
        ReferencePage::Schema => hop3_core::config::json_schema(),
        ReferencePage::PluginProtocol => hop3_core::plugin::json_schema(),
        ReferencePage::Api => api(&hop3_server::api::openapi()),
        ReferencePage::Openapi => format!("{:#}\n", hop3_server::api::openapi()),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn hop3_toml() -> String {
    "# hop3.toml\n\n\
     At the top of the source or in `hop3/`. Every key is optional; an unknown key is refused with its line. \
     Editors that know JSON Schema can use [hop3-toml.schema.json](hop3-toml.schema.json).\n\n"
        .to_owned()
        + &hop3_core::config::reference_markdown()
}

/// One line for each endpoint.
fn api(document: &Value) -> String {
    let mut page = "# API\n\nThe command line uses nothing else. The OpenAPI document, with every type, is served at \
                    `/api/openapi.json`. Calls carry `Authorization: Bearer TOKEN`; on the machine itself, the socket \
                    `run/server/api.sock` beneath the root needs none. A failure answers a problem (see \
                    [Problems](problems.md)) with the status of its kind.\n\n\
                    | Method | Path | What it does |\n|---|---|---|\n"
        .to_owned();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, endpoint) in methods.as_object().into_iter().flatten() {
            let summary = endpoint["summary"].as_str().unwrap_or_default();
            page += &format!("| {} | `{path}` | {summary} |\n", method.to_uppercase());
        }
    }
    page
}
