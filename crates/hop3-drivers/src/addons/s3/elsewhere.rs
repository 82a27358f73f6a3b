// SPDX-License-Identifier: Apache-2.0
//! A bucket of an object storage that somebody else manages: `s3://KEY:SECRET@HOST[:PORT]/BUCKET`. It is checked, and
//! nobody signs in there.

use super::super::address::Address;
use super::super::{seen, yes_or_no};
use super::told::{REGION, Told, binding};
use hop3_core::addon::{AddonStatus, Binding, WantedAddon};
use hop3_core::{Kind, Problem};

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

pub(super) fn provision(addon: &WantedAddon) -> Result<Binding, Problem> {
    let bucket = Bucket::of(addon)?;
    let endpoint = bucket.endpoint(yes_or_no(addon, "tls", true)?);
    let region = region(addon)?;
    if yes_or_no(addon, "check", true)? {
        bucket.address.check()?;
    }
    let url = addon.credential().password.expose().clone();
    Ok(binding(url, &Told { endpoint, region, bucket: bucket.name, key: bucket.key, secret: bucket.secret }))
}

pub(super) fn status(addon: &WantedAddon) -> Result<AddonStatus, Problem> {
    let trouble = match yes_or_no(addon, "check", true)? {
        true => Bucket::of(addon)?.address.check().err(),
        false => None,
    };
    Ok(seen(trouble))
}

fn region(addon: &WantedAddon) -> Result<String, Problem> {
    let region = addon.settings.get("region").map_or(REGION, String::as_str);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !region.is_empty() && region.chars().all(is_plain) {
        return Ok(region.to_owned());
    }
    Err(Problem::new(Kind::User, "addon.bad-option", "a region is letters, digits and hyphens: eu-west-1"))
}
