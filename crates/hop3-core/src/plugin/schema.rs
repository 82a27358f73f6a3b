// SPDX-License-Identifier: Apache-2.0
//! The JSON Schemas of the protocol in one document: each type under its name, each method with its two types.

use super::{
    AddonEntry, AddonProcess, Answer, BuilderCall, CommandAnswer, CommandCall, Detection, EventCall, Hello,
    HookAnswer, HookCall, Introduction, PROTOCOL, Panel, PanelCall, Request, method,
};
use crate::addon::{AddonServer, AddonStatus, Binding, WantedAddon};
use crate::plan::BuildPlan;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// Pretty-printed, with a line end.
pub fn json_schema() -> String {
    let settings = SchemaSettings::draft2020_12();
    let mut generator = settings.into_generator();
    let lines = json!({ "request": of::<Request>(&mut generator), "answer": of::<Answer>(&mut generator) });
    let mut methods = Map::new();
    let mut on = |name: &str, params: Value, result: Value| {
        methods.insert(name.to_owned(), json!({ "params": params, "result": result }));
    };
    on(method::HELLO, of::<Hello>(&mut generator), of::<Introduction>(&mut generator));
    on(method::DETECT, of::<BuilderCall>(&mut generator), of::<Option<Detection>>(&mut generator));
    on(method::PLAN, of::<BuilderCall>(&mut generator), of::<BuildPlan>(&mut generator));
    let addon = of::<WantedAddon>(&mut generator);
    on(method::SERVE, of::<AddonServer>(&mut generator), of::<AddonProcess>(&mut generator));
    on(method::PROVISION, addon.clone(), of::<Binding>(&mut generator));
    on(method::STATUS, addon.clone(), of::<AddonStatus>(&mut generator));
    on(method::BACKUP, addon.clone(), of::<AddonProcess>(&mut generator));
    on(method::RESTORE, addon.clone(), of::<AddonProcess>(&mut generator));
    on(method::DESTROY, addon, json!(true));
    on(method::WRITE, of::<AddonEntry>(&mut generator), json!(true));
    on(method::READ, of::<AddonEntry>(&mut generator), of::<Option<String>>(&mut generator));
    on(method::EVENT, of::<EventCall>(&mut generator), json!(true));
    on(method::HOOK, of::<HookCall>(&mut generator), of::<HookAnswer>(&mut generator));
    on(method::COMMAND, of::<CommandCall>(&mut generator), of::<CommandAnswer>(&mut generator));
    on(method::PANEL, of::<PanelCall>(&mut generator), of::<Panel>(&mut generator));
    let document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hop3 plugin protocol",
        "version": PROTOCOL,
        "lines": lines,
        "methods": methods,
        "$defs": generator.take_definitions(true),
    });
    format!("{document:#}\n")
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}
