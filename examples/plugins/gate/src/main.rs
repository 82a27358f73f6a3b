// SPDX-License-Identifier: Apache-2.0
//! A hook in Rust: while an app has `HOLD` in its config nothing of it is deployed. It counts what it saw, for a
//! command and a panel.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};

const NAME: &str = "gate";

/// Apps with how many deployments were let through and how many were held.
type Seen = BTreeMap<String, (u64, u64)>;

fn hello() -> Value {
    json!({
        "name": NAME,
        "version": env!("CARGO_PKG_VERSION"),
        "protocol": 1,
        "description": "Holds deployments of apps that have HOLD in their config",
        "provides": {
            "commands": [{ "name": "seen", "about": "says how many deployments came by" }],
            "panels": [{ "name": "seen", "title": "Deployments at the gate" }],
        },
        "permissions": { "config": true, "hooks": [{ "when": "before", "step": "checkout", "required": true }] },
    })
}

fn hook(call: &Value, seen: &mut Seen) -> Value {
    let app = call["app"].as_str().unwrap_or_default();
    let (passed, held) = seen.entry(app.to_owned()).or_default();
    if call["config"]["HOLD"].is_null() {
        *passed += 1;
        return json!({ "notes": ["the gate is open"] });
    }
    *held += 1;
    let hint = format!("open it again with: hop3 config unset HOLD -a {app}");
    json!({ "refusal": { "title": format!("{app} is on hold"), "hint": hint } })
}

fn panel(seen: &Seen) -> Value {
    let row = |(app, (passed, held)): (&String, &(u64, u64))| json!([app, passed.to_string(), held.to_string()]);
    json!({ "columns": ["app", "passed", "held"], "rows": seen.iter().map(row).collect::<Vec<_>>() })
}

fn answer(method: &str, call: &Value, seen: &mut Seen) -> Result<Value, String> {
    match method {
        "hello" => Ok(hello()),
        "hook" => Ok(hook(call, seen)),
        "panel" => Ok(panel(seen)),
        "command" => {
            let all: u64 = seen.values().map(|(passed, held)| passed + held).sum();
            Ok(json!({ "output": format!("{all} deployments\n") }))
        }
        other => Err(format!("nothing is known of {other}")),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut seen = Seen::new();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let method = request["method"].as_str().unwrap_or_default();
        let mut said = json!({ "jsonrpc": "2.0", "id": request["id"] });
        match answer(method, &request["params"], &mut seen) {
            Ok(result) => said["result"] = result,
            Err(message) => said["error"] = json!({ "code": 1, "message": message }),
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "{said}")?;
        out.flush()?;
    }
    Ok(())
}
