// SPDX-License-Identifier: Apache-2.0
//! An object storage of Hop3's own, and apps that keep objects in it: each in its bucket, with a key that opens no other.

use crate::backup::{create, has_restic};
use crate::gateway::{self, Gateway};
use crate::harness::{Hop, skip};
use crate::probe;
use crate::services::hop3_with;

/// An app asks about a key of a bucket, with nothing but its variables; gives what it got, then the status.
fn ask(hop: &Hop, key: &str, arguments: &str) -> String {
    let script = format!(
        "curl -s -w ' %{{http_code}}' --aws-sigv4 \"aws:amz:$AWS_REGION:s3\" \
         --user \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
         {arguments} \"$S3_ENDPOINT/{key}\""
    );
    probe::inside(hop, "shop", &script)
}

fn put(hop: &Hop, key: &str, value: &str) -> String {
    let arguments =
        format!("-X PUT --data-binary {value} -H 'Content-Type: text/x-note' -H 'x-amz-meta-by: Ada'");
    ask(hop, key, &arguments)
}

fn variable(hop: &Hop, name: &str) -> String {
    probe::inside(hop, "shop", &format!("printf %s \"${name}\""))
}

#[test]
fn an_app_keeps_objects_in_a_bucket_that_no_other_addon_reaches() {
    let test = "an_app_keeps_objects_in_a_bucket_that_no_other_addon_reaches";
    if gateway::program().is_none() {
        skip(test, "versitygw is not installed");
        return;
    }
    if !has_restic(test) {
        return;
    }
    let hop = Hop::start();
    probe::push(&hop, "shop");
    hop.hop3(["addon", "create", "s3", "media", "-a", "shop"]).expect_ok();
    hop.hop3(["addon", "create", "s3", "other"]).expect_ok();
    assert_eq!(put(&hop, "$S3_BUCKET/deep/note", "first"), " 200");
    assert_eq!(ask(&hop, "$S3_BUCKET/deep/note", ""), "first 200");
    let (bucket, url) = (variable(&hop, "S3_BUCKET"), variable(&hop, "S3_URL"));
    assert_eq!(bucket, "media-1");
    for (key, arguments) in [
        ("other-2/note", "-X PUT --data-binary x"),
        ("other-2/note", ""),
        ("other-2?list-type=2", ""),
        ("new-bucket", "-X PUT"),
    ] {
        let refused = ask(&hop, key, arguments);
        assert!(refused.ends_with(" 403"), "{key}: {refused}");
    }
    // Its own stays its own.
    assert!(ask(&hop, "$S3_BUCKET", "-X DELETE").ends_with(" 403"));
    assert!(ask(&hop, "$S3_BUCKET?policy=", "-X PUT --data-binary '{}'").ends_with(" 403"));

    hop.hop3(["addon", "credentials", "rotate", "media", "--now"]).expect_ok();
    assert_ne!(variable(&hop, "S3_URL"), url);
    assert_eq!(ask(&hop, "$S3_BUCKET/deep/note", ""), "first 200");
    let former = url.trim_start_matches("s3://").split('@').next().unwrap().to_owned();
    let refused = ask(&hop, "$S3_BUCKET/deep/note", &format!("--user {former}"));
    assert!(refused.ends_with(" 403"), "{refused}");

    let id = create(&hop, &["-a", "shop"]);
    hop.hop3(["backup", "verify", &id]).expect_ok();
    assert_eq!(put(&hop, "$S3_BUCKET/deep/note", "second"), " 200");
    assert_eq!(put(&hop, "$S3_BUCKET/since", "second"), " 200");
    hop.hop3(["addon", "clone", "media", "copy"]).expect_ok();
    hop.hop3(["backup", "restore", &id]).expect_ok();
    let head = ask(&hop, "$S3_BUCKET/deep/note", "-i");
    assert!(head.ends_with("first 200"), "{head}");
    let lower = head.to_lowercase();
    assert!(lower.contains("content-type: text/x-note") && lower.contains("x-amz-meta-by: ada"), "{head}");
    assert!(ask(&hop, "$S3_BUCKET/since", "").ends_with(" 404"));
    hop.hop3(["addon", "unbind", "media", "-a", "shop"]).expect_ok();
    hop.hop3(["addon", "bind", "copy", "-a", "shop"]).expect_ok();
    assert_eq!(ask(&hop, "$S3_BUCKET/since", ""), "second 200");
    hop.hop3(["addon", "unbind", "copy", "-a", "shop"]).expect_ok();
    ["media", "other", "copy"].iter().for_each(|addon| {
        hop.hop3(["addon", "destroy", addon, "--confirm", addon, "--now"]).expect_ok();
    });
    assert_eq!(
        std::fs::read_dir(hop.root().join("addons")).unwrap().count(),
        0,
        "the server goes with the last one"
    );
}

#[test]
fn a_bucket_elsewhere_is_one_where_an_address_is_given() {
    let test = "a_bucket_elsewhere_is_one_where_an_address_is_given";
    let hop = Hop::start();
    let Some(gateway) = Gateway::start(test, &hop.scratch().join("cloud"), None) else { return };
    probe::push(&hop, "shop");
    let url = format!("s3://{}:{}@127.0.0.1:{}/shop-media", gateway::KEY, gateway::SECRET, gateway.port);
    let make = ["addon", "create", "s3", "far", "--secret", "-o", "tls=no", "-a", "shop"];
    hop3_with(&hop, &make, &url).expect_ok();
    assert_eq!(ask(&hop, "$S3_BUCKET", "-X PUT"), " 200");
    assert_eq!(put(&hop, "$S3_BUCKET/note", "far"), " 200");
    assert_eq!(ask(&hop, "$S3_BUCKET/note", ""), "far 200");
    for (arguments, code) in [
        (&["addon", "credentials", "rotate", "far"][..], "addon.cannot-rotate"),
        (&["addon", "upgrade", "far", "installed"], "addon.holds-nothing"),
        (&["addon", "export", "far", "/dev/null"], "addon.holds-nothing"),
    ] {
        let refused = hop.hop3(arguments);
        assert!(!refused.ok && refused.text.contains(code), "{arguments:?}: {}", refused.text);
    }
    if has_restic(test) {
        create(&hop, &["-a", "shop"]);
    }
    assert_eq!(hop.json(["addon", "info", "far", "--json"])["addon"]["version"], "elsewhere");
}
