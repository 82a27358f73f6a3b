// SPDX-License-Identifier: Apache-2.0
//! How comments in deno.json are read.

use super::without_comments;

#[test]
fn comments_and_trailing_commas_are_blanked_in_place() {
    let text = "{\n  // tasks é\n  \"a\": \"http://x\\\"//y\", /* z\n */ \"b\": [1, 2,],\n}\n";
    let plain = without_comments(text);
    let value: serde_json::Value = serde_json::from_str(&plain).unwrap();
    assert_eq!(value, serde_json::json!({"a": "http://x\"//y", "b": [1, 2]}));
    assert_eq!(plain.matches('\n').count(), text.matches('\n').count());
}
