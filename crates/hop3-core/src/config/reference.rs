// SPDX-License-Identifier: Apache-2.0
//! The JSON Schema of `hop3.toml` and its reference page, both made from the structs that read the file.

use super::raw::Document;
use serde_json::{Map, Value};

/// JSON Schema (2020-12) of `hop3.toml`.
pub fn json_schema() -> String {
    let mut schema = schema();
    schema.insert("title".to_owned(), Value::from("hop3.toml"));
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
    text.push('\n');
    text
}

/// A table of keys for every table of `hop3.toml`, in Markdown.
pub fn reference_markdown() -> String {
    let schema = schema();
    let mut page = String::new();
    let mut later = String::new();
    for (name, property) in properties(&schema) {
        let item = property.get("items").filter(|items| reference(items).is_some());
        let table = resolve(&schema, item.unwrap_or(property));
        let text = describe(property);
        if is_later(property) {
            later += &format!("| `[{name}]` | {text} |\n");
            continue;
        }
        let title = if item.is_some() { format!("[[{name}]]") } else { format!("[{name}]") };
        page += &format!("## `{title}`\n\n{text}\n\n");
        page += &rows(&schema, table);
        page += &inner_tables(&schema, name, table);
    }
    page + "## Understood, not acted on\n\nThese tables of older versions are accepted. All but `[test]`, `[cli]` and \
            `[contexts]` give a warning at each deployment.\n\n| Table | Meaning |\n|---|---|\n"
        + &later
}

fn schema() -> Map<String, Value> {
    match schemars::schema_for!(Document).to_value() {
        Value::Object(map) => map,
        other => Map::from_iter([("const".to_owned(), other)]),
    }
}

fn rows(schema: &Map<String, Value>, table: &Value) -> String {
    let mut rows = String::new();
    for (key, property) in table.as_object().map(properties).into_iter().flatten() {
        let note = if is_later(property) { " *Not acted on yet.*" } else { "" };
        rows += &format!("| `{key}` | {} | {}{note} |\n", kind(schema, property), describe(property));
    }
    if let Some(other) = table.get("additionalProperties").filter(|other| other.is_object()) {
        rows += &format!("| *any name* | {} | {} |\n", kind(schema, other), describe(other));
    }
    if rows.is_empty() {
        return rows;
    }
    format!("| Key | Type | Meaning |\n|---|---|---|\n{rows}\n")
}

/// A section of its own for each table within a table, and for each list of tables.
fn inner_tables(schema: &Map<String, Value>, name: &str, table: &Value) -> String {
    let mut page = String::new();
    for (key, property) in table.as_object().map(properties).into_iter().flatten() {
        let item = property.get("items").filter(|items| reference(items).is_some());
        let inner = resolve(schema, item.unwrap_or(property));
        if inner.get("properties").is_some() {
            let title = if item.is_some() { format!("[[{name}.{key}]]") } else { format!("[{name}.{key}]") };
            page += &format!("### `{title}`\n\n{}\n\n", describe(property));
            page += &rows(schema, inner);
        }
    }
    page
}

fn properties(schema: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// Follows a reference to a definition, also when it is one of "this or null".
fn resolve<'a>(schema: &'a Map<String, Value>, property: &'a Value) -> &'a Value {
    let target = reference(property).and_then(|name| schema.get("$defs")?.get(name));
    target.unwrap_or(property)
}

fn reference(property: &Value) -> Option<&str> {
    let direct = property.get("$ref");
    let either = || property.get("anyOf")?.as_array()?.iter().find_map(|item| item.get("$ref"));
    direct.or_else(either)?.as_str()?.rsplit('/').next()
}

fn is_later(property: &Value) -> bool {
    matches!(reference(property), Some("Later" | "Ignored"))
}

fn describe(property: &Value) -> String {
    let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
    text.replace('\n', " ").replace('|', "\\|")
}

/// The type in words.
fn kind(schema: &Map<String, Value>, property: &Value) -> String {
    if property.get("items").is_some_and(|items| reference(items).is_some()) {
        return "list of tables".to_owned();
    }
    let target = resolve(schema, property);
    let words: Vec<&str> = match target.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => match target.get("enum").and_then(Value::as_array) {
            Some(values) => return values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(" or "),
            None => vec!["object"],
        },
    };
    let plain = |word: &&str| match *word {
        "array" => "list of strings",
        "object" => "table",
        "integer" => "number",
        "string" => "text",
        "boolean" => "true or false",
        _ => "any",
    };
    words.iter().filter(|word| **word != "null").map(plain).collect::<Vec<_>>().join(" or ")
}
