// SPDX-License-Identifier: Apache-2.0
//! What apps are told of a bucket, wherever it lies: by the names that AWS' own libraries read, and by those that others
//! do.

use super::super::binding as of_variables;
use hop3_core::addon::Binding;

/// What servers that know no regions answer to.
pub(super) const REGION: &str = "us-east-1";

pub(super) struct Told {
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    pub key: String,
    pub secret: String,
}

pub(super) fn binding(url: String, told: &Told) -> Binding {
    let variables = [
        ("S3_URL", url),
        ("S3_ENDPOINT", told.endpoint.clone()),
        ("S3_BUCKET", told.bucket.clone()),
        ("S3_REGION", told.region.clone()),
        ("S3_ACCESS_KEY", told.key.clone()),
        ("S3_SECRET_KEY", told.secret.clone()),
        ("AWS_ENDPOINT_URL_S3", told.endpoint.clone()),
        ("AWS_REGION", told.region.clone()),
        ("AWS_DEFAULT_REGION", told.region.clone()),
        ("AWS_ACCESS_KEY_ID", told.key.clone()),
        ("AWS_SECRET_ACCESS_KEY", told.secret.clone()),
        ("BUCKET_NAME", told.bucket.clone()),
    ];
    of_variables(variables, &[])
}
