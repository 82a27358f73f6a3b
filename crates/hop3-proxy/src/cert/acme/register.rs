// SPDX-License-Identifier: Apache-2.0
//! Registers an account for a key that was saved before (RFC 8555 §7.3), bound to a customer's account where the
//! authority asks for that (§7.3.4). The client crate makes the key itself when it binds, which a proxy that is
//! killed would lose; the rest of the protocol is its.

use super::caller::{Caller, other};
use super::fault::{Fault, kind_of};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use hop3_core::acme::{Authority, Eab};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response};
use instant_acme::{BodyWrapper, Error, HttpClient};
use serde::Deserialize;
use serde_json::{Value, json};

/// An authority may say so often that a nonce is no good before we believe that it is away.
const NONCE_TRIES: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    new_nonce: String,
    new_account: String,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    external_account_required: bool,
}

pub(super) fn mailto(contact: &[String]) -> Vec<String> {
    contact.iter().map(|mail| format!("mailto:{mail}")).collect()
}

/// The account's address.
pub(super) async fn register(
    caller: &Caller,
    authority: &Authority,
    key: &[u8],
    contact: &[String],
) -> Result<String, Fault> {
    let failed = |error| Fault::of(authority.name(), error);
    let directory = call(caller, Method::GET, &authority.directory, None).await.map_err(failed)?;
    let directory: Directory = serde_json::from_slice(directory.body()).map_err(|e| failed(e.into()))?;
    if directory.meta.external_account_required && authority.eab.is_none() {
        let words = "it wants an external account binding: give what it handed out to you with --eab-kid and --eab-hmac";
        return Err(Fault::refused(authority.name(), words));
    }
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key)
        .map_err(|_| Fault::refused(authority.name(), "the account's key is damaged"))?;
    let mut payload = json!({ "termsOfServiceAgreed": true, "contact": mailto(contact) });
    if let Some(eab) = &authority.eab {
        payload["externalAccountBinding"] = bind(&key, eab, &directory.new_account)
            .ok_or_else(|| Fault::refused(authority.name(), "the key of the binding is not base64"))?;
    }
    for _ in 0..NONCE_TRIES {
        let nonce = call(caller, Method::HEAD, &directory.new_nonce, None).await.map_err(failed)?;
        let nonce = header(&nonce, "replay-nonce").unwrap_or_default();
        let protected =
            json!({ "alg": "ES256", "jwk": jwk(&key), "nonce": nonce, "url": directory.new_account });
        let body = signed(&protected, &payload, |input| sign(&key, input)).to_string();
        let answer = call(caller, Method::POST, &directory.new_account, Some(body)).await.map_err(failed)?;
        if answer.status().is_success() {
            return header(&answer, LOCATION.as_str())
                .ok_or_else(|| Fault::away(authority.name(), "it does not say where the account is"));
        }
        let problem: instant_acme::Problem =
            serde_json::from_slice(answer.body()).map_err(|e| failed(e.into()))?;
        if kind_of(&problem) != "badNonce" {
            return Err(failed(Error::Api(problem)));
        }
    }
    Err(Fault::away(authority.name(), "it takes none of the nonces it gives"))
}

async fn call(
    caller: &Caller,
    method: Method,
    url: &str,
    body: Option<String>,
) -> Result<Response<Bytes>, Error> {
    let mut request = Request::builder().method(method).uri(url);
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/jose+json");
    }
    let body = body.map_or_else(BodyWrapper::default, |text| BodyWrapper::from(text.into_bytes()));
    let mut response = caller.request(request.body(body).map_err(other)?).await?;
    let bytes = response.body.into_bytes().await.map_err(Error::Other)?;
    Ok(Response::from_parts(response.parts, bytes))
}

fn header(response: &Response<Bytes>, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

fn sign(key: &EcdsaKeyPair, input: &[u8]) -> Vec<u8> {
    // Fails only for want of random numbers; the authority refuses an empty signature then.
    key.sign(&SystemRandom::new(), input).map_or_else(|_| Vec::new(), |signature| signature.as_ref().to_vec())
}

/// The public key (RFC 7517), its members in the order of RFC 7638.
fn jwk(key: &EcdsaKeyPair) -> Value {
    let point = key.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    json!({ "crv": "P-256", "kty": "EC", "x": BASE64.encode(x), "y": BASE64.encode(y) })
}

/// Our public key, signed by the customer's key. Authorities hand that out with and without padding.
fn bind(key: &EcdsaKeyPair, eab: &Eab, url: &str) -> Option<Value> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::URL_SAFE,
        GeneralPurposeConfig::new().with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
    );
    let text = eab.hmac.expose().trim().replace('+', "-").replace('/', "_");
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &LENIENT.decode(text).ok()?);
    let protected = json!({ "alg": "HS256", "kid": eab.kid, "url": url });
    Some(signed(&protected, &jwk(key), |input| hmac::sign(&secret, input).as_ref().to_vec()))
}

/// Flattened JSON (RFC 7515 §7.2.2).
fn signed(protected: &Value, payload: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> Value {
    let (protected, payload) = (BASE64.encode(protected.to_string()), BASE64.encode(payload.to_string()));
    let signature = sign(format!("{protected}.{payload}").as_bytes());
    json!({ "protected": protected, "payload": payload, "signature": BASE64.encode(signature) })
}
