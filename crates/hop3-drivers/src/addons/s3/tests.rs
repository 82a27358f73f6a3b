// SPDX-License-Identifier: Apache-2.0
//! What apps are told of a bucket, and what is no address of one.

use super::elsewhere::{provision, status};
use crate::addons::external::tests::addon;
use std::net::TcpListener;

#[test]
fn a_bucket_is_told_by_the_names_that_libraries_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let wanted = addon(&format!("s3://AKIA:a%2Fb%2Bc@127.0.0.1:{port}/shop-media"), &[("tls", "no")]);
    let binding = provision(&wanted).unwrap_or_else(|problem| panic!("{problem:?}"));
    let told = |key: &str| binding.variables[&key.parse().unwrap()].expose().clone();
    assert_eq!(told("S3_ENDPOINT"), format!("http://127.0.0.1:{port}"));
    assert_eq!(told("AWS_ENDPOINT_URL_S3"), told("S3_ENDPOINT"));
    assert_eq!(told("AWS_ACCESS_KEY_ID"), "AKIA");
    assert_eq!(told("AWS_SECRET_ACCESS_KEY"), "a/b+c");
    assert_eq!(told("BUCKET_NAME"), "shop-media");
    assert_eq!(told("AWS_REGION"), "us-east-1");
    assert!(status(&wanted).unwrap().is_up);

    let far = addon("s3://k:s@s3.example.org/shop", &[("check", "no"), ("region", "eu-west-1")]);
    let binding = provision(&far).unwrap_or_else(|problem| panic!("{problem:?}"));
    assert_eq!(binding.variables[&"S3_ENDPOINT".parse().unwrap()].expose(), "https://s3.example.org");
    assert_eq!(binding.variables[&"S3_REGION".parse().unwrap()].expose(), "eu-west-1");
}

#[test]
fn what_is_no_bucket_is_refused_and_not_quoted() {
    for url in [
        "https://k:hunter2@h/shop",
        "s3://k@h/hunter2",
        "s3://:hunter2@h/shop",
        "s3://k:hunter2@h",
        "s3://k:hunter2@h/",
        "s3://k:hunter2@h/ab",
        "s3://k:hunter2@h/shop/folder",
        "s3://k:hunter2@h/..%2fx",
    ] {
        let problem = provision(&addon(url, &[("check", "no")])).err().unwrap();
        assert_eq!(problem.code, "addon.bad-address", "{url}");
        assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
    }
    let bad = addon("s3://k:s@h/shop", &[("check", "no"), ("region", "a b")]);
    assert_eq!(provision(&bad).err().unwrap().code, "addon.bad-option");
}
