// SPDX-License-Identifier: Apache-2.0
//! Who may come in, and what he may do there: the file of users, and the policy of a bucket.

use super::super::plain;
use hop3_core::Problem;
use hop3_core::addon::WantedAddon;
use hop3_core::problem::Kind;
use serde_json::{Map, Value, json};

/// The administrator's key.
pub(super) const ADMIN: &str = "hop3";

/// What would let others in, keep the addon's own out, or keep objects from ever going.
const KEPT_BACK: [&str; 6] = [
    "s3:DeleteBucket",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketAcl",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketObjectLockConfiguration",
];

/// Buckets have no `_` in their names, databases no `-`.
pub(super) fn bucket(addon: &WantedAddon) -> Result<String, Problem> {
    Ok(plain(&addon.database)?.replace('_', "-"))
}

/// The addon's users, on one line.
pub(super) fn accounts(addon: &WantedAddon) -> Result<String, Problem> {
    let users = addon.credentials.iter().map(|credential| {
        let (key, secret) = (plain(&credential.user)?, plain(credential.password.expose())?);
        Ok(json!({ "access": key, "secret": secret, "role": "user" }))
    });
    Ok(format!("{}\n", Value::Array(users.collect::<Result<_, Problem>>()?)))
}

/// All of them, as the server reads them.
pub(super) fn users(lines: &str) -> Result<String, Problem> {
    let mut all = Map::new();
    for line in lines.lines() {
        let users: Vec<Value> = serde_json::from_str(line).map_err(|error| {
            let title = "the file of an addon's users cannot be read";
            Problem::new(Kind::Unavailable, "addon.not-changed", title).detail(error.to_string())
        })?;
        for user in users {
            all.insert(user["access"].as_str().unwrap_or_default().to_owned(), user);
        }
    }
    Ok(json!({ "accessAccounts": all }).to_string())
}

pub(super) fn policy(addon: &WantedAddon, bucket: &str) -> String {
    let users: Vec<&str> = addon.credentials.iter().map(|credential| credential.user.as_str()).collect();
    let itself = format!("arn:aws:s3:::{bucket}");
    let statement = |effect: &str, action: Value, resource: Value| json!({ "Effect": effect, "Principal": { "AWS": users }, "Action": action, "Resource": resource });
    json!({
        "Version": "2012-10-17",
        "Statement": [
            statement("Allow", json!("s3:*"), json!([itself, format!("{itself}/*")])),
            statement("Deny", json!(KEPT_BACK), json!(itself)),
        ],
    })
    .to_string()
}
