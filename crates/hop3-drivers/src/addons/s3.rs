// SPDX-License-Identifier: Apache-2.0
//! `s3`: a bucket of an object storage that somebody else manages: `s3://KEY:SECRET@HOST[:PORT]/BUCKET`. It is told
//! to apps by the names that AWS' own libraries read, and by those that others do.

use super::address::Address;
use super::external::elsewhere;
use hop3_core::addon::{
    AddonServer, AddonStatus, Binding, KindCapabilities, KindFacts, WantedAddon, WantedTable,
};
use hop3_core::driver::Addon;
use hop3_core::{Kind, Problem};
use std::io::{Read, Write};

pub struct S3;

/// What servers that know no regions answer to.
const REGION: &str = "us-east-1";

/// A bucket and who may use it.
struct Bucket {
    address: Address,
    key: String,
    secret: String,
    name: String,
}

impl Bucket {
    fn of(addon: &WantedAddon) -> Result<Bucket, Problem> {
        let bad = |why: &str| {
            Problem::new(Kind::User, "addon.bad-address", format!("this is no address of a bucket: {why}"))
                .detail("s3://KEY:SECRET@HOST:PORT/BUCKET")
                .hint("give it on standard input, with --secret")
        };
        let address = Address::parse(addon.credential().password.expose())?;
        if address.scheme != "s3" {
            return Err(bad("it does not begin with s3://"));
        }
        let (Some(key), Some(secret)) = (address.user.clone(), address.password.clone()) else {
            return Err(bad("it has no key or no secret"));
        };
        let name = address.name.as_deref().map(|name| name.trim_end_matches('/').to_owned());
        // What buckets are called; anything else would be a path within one.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        match name.filter(|name| (3..=63).contains(&name.len()) && name.chars().all(is_plain)) {
            Some(name) => Ok(Bucket { address, key, secret, name }),
            None => Err(bad("it does not end with the name of a bucket")),
        }
    }

    fn endpoint(&self, tls: bool) -> String {
        let (scheme, usual) = if tls { ("https", 443) } else { ("http", 80) };
        let host = match &self.address.host {
            host if host.contains(':') => format!("[{host}]"),
            host => host.clone(),
        };
        match self.address.port {
            port if port == usual => format!("{scheme}://{host}"),
            port => format!("{scheme}://{host}:{port}"),
        }
    }
}

impl Addon for S3 {
    fn facts(&self) -> KindFacts {
        KindFacts {
            kind: super::kind("s3"),
            title: "S3-compatible object storage".to_owned(),
            slot: "s3".to_owned(),
            versions: vec!["elsewhere".to_owned()],
            install: String::new(),
            capabilities: KindCapabilities { takes_secret: true, ..KindCapabilities::default() },
            options: super::options(&[
                ("region", "us-east-1 unless set"),
                ("tls", "no: the endpoint speaks plain HTTP"),
                ("check", "no: do not look whether its host answers"),
            ]),
            server_options: Vec::new(),
        }
    }

    fn serve(&self, _server: &AddonServer) -> Result<(), Problem> {
        Ok(())
    }

    fn provision(&self, addon: &WantedAddon) -> Result<Binding, Problem> {
        let bucket = Bucket::of(addon)?;
        let endpoint = bucket.endpoint(super::yes_or_no(addon, "tls", true)?);
        let region = region(addon)?;
        if super::yes_or_no(addon, "check", true)? {
            bucket.address.check()?;
        }
        let url = addon.credential().password.expose().clone();
        let variables = [
            ("S3_URL", url),
            ("S3_ENDPOINT", endpoint.clone()),
            ("S3_BUCKET", bucket.name.clone()),
            ("S3_REGION", region.clone()),
            ("S3_ACCESS_KEY", bucket.key.clone()),
            ("S3_SECRET_KEY", bucket.secret.clone()),
            ("AWS_ENDPOINT_URL_S3", endpoint),
            ("AWS_REGION", region.clone()),
            ("AWS_DEFAULT_REGION", region),
            ("AWS_ACCESS_KEY_ID", bucket.key),
            ("AWS_SECRET_ACCESS_KEY", bucket.secret),
            ("BUCKET_NAME", bucket.name),
        ];
        Ok(super::binding(variables, &[]))
    }

    fn status(&self, addon: &WantedAddon) -> Result<AddonStatus, Problem> {
        let trouble = match super::yes_or_no(addon, "check", true)? {
            true => Bucket::of(addon)?.address.check().err(),
            false => None,
        };
        Ok(super::seen(trouble))
    }

    fn backup(
        &self,
        _addon: &WantedAddon,
        _as_of_ms: Option<u64>,
        _to: &mut dyn Write,
    ) -> Result<(), Problem> {
        Err(elsewhere())
    }

    fn restore(
        &self,
        _addon: &WantedAddon,
        _table: Option<&WantedTable>,
        _from: &mut dyn Read,
    ) -> Result<(), Problem> {
        Err(elsewhere())
    }

    fn destroy(&self, _addon: &WantedAddon) -> Result<(), Problem> {
        Ok(())
    }

    fn retire(&self, _server: &AddonServer) -> Result<(), Problem> {
        Ok(())
    }
}

fn region(addon: &WantedAddon) -> Result<String, Problem> {
    let region = addon.settings.get("region").map_or(REGION, String::as_str);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !region.is_empty() && region.chars().all(is_plain) {
        return Ok(region.to_owned());
    }
    Err(Problem::new(Kind::User, "addon.bad-option", "a region is letters, digits and hyphens: eu-west-1"))
}

#[cfg(test)]
mod tests;
