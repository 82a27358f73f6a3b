// SPDX-License-Identifier: Apache-2.0
//! The driver that is built in: a dynamic update (RFC 2136) at the zone's primary server, signed with a shared key
//! (RFC 8945), whose answer must be signed too.

use super::Record;
use super::message::by_tcp;
use super::seen::zone_of;
use crate::cert::acme::{Blame, Fault};
use base64::prelude::{BASE64_STANDARD, Engine};
use hickory_proto::op::update_message::{append, delete_by_rdata};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{self, Name, RData, RecordSet, TSigVerifier, TSigner};
use hop3_core::acme::DnsUpdate;
use hop3_core::{Kind, Problem};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds; the record lives for minutes.
const TTL: u32 = 60;
/// Seconds that the two clocks may differ (RFC 8945 §10).
const FUDGE: u16 = 300;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Add,
    Remove,
}

pub(super) async fn change(update: &DnsUpdate, record: &Record<'_>, change: Change) -> Result<(), Fault> {
    let refused = |why: &str| failed(update, record, why);
    let name = Name::from_ascii(format!("{}.", record.fqdn)).map_err(|e| refused(&e.to_string()))?;
    let zone = zone_of(&name, update.server).await;
    let zone = zone.ok_or_else(|| refused("it does not answer for a zone that the name lies in"))?;
    let message = message(name, zone, &record.value, change);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (bytes, verifier) = signed(message, update, now).map_err(|why| refused(&why))?;
    let answer = by_tcp(update.server, &bytes).await.map_err(|e| refused(&e.to_string()))?;
    let told = Message::from_vec(&answer).map_err(|e| refused(&e.to_string()))?;
    if told.response_code != ResponseCode::NoError {
        return Err(refused(&format!("it answers: {}", told.response_code)));
    }
    if let Some(mut verifier) = verifier {
        verifier.verify(&answer).map_err(|_| refused("its answer is not signed with the key"))?;
    }
    Ok(())
}

/// The message with its signature, and what looks at the answer's.
pub(crate) fn signed(
    mut message: Message,
    update: &DnsUpdate,
    now: u64,
) -> Result<(Vec<u8>, Option<TSigVerifier>), String> {
    let verifier = match signer(update)? {
        Some(signer) => message.finalize(&signer, now).map_err(|e| e.to_string())?,
        None => None,
    };
    Ok((message.to_vec().map_err(|e| e.to_string())?, verifier))
}

/// A key that cannot be used is told when it is given.
pub(super) fn check(update: &DnsUpdate) -> Result<(), Problem> {
    signer(update).map(|_| ()).map_err(|why| {
        Problem::new(Kind::User, "acme.bad-dns-key", "the key for DNS updates cannot be used").detail(why)
    })
}

pub(crate) fn message(name: Name, zone: Name, value: &str, change: Change) -> Message {
    let data = RData::TXT(TXT::new(vec![value.to_owned()]));
    let record = rr::Record::from_rdata(name, TTL, data);
    let records = RecordSet::from(record);
    match change {
        Change::Add => append(records, zone, false, false),
        Change::Remove => delete_by_rdata(records, zone, false),
    }
}

fn signer(update: &DnsUpdate) -> Result<Option<TSigner>, String> {
    let (Some(name), Some(key)) = (&update.key_name, &update.key) else { return Ok(None) };
    let algorithm = match update.key_algorithm.as_deref().unwrap_or("hmac-sha256") {
        "hmac-sha256" => TsigAlgorithm::HmacSha256,
        "hmac-sha384" => TsigAlgorithm::HmacSha384,
        "hmac-sha512" => TsigAlgorithm::HmacSha512,
        other => {
            return Err(format!("the algorithm {other} is none of hmac-sha256, hmac-sha384, hmac-sha512"));
        }
    };
    let key = BASE64_STANDARD.decode(key.expose().trim()).map_err(|_| "the key is not base64")?;
    let name = Name::from_ascii(name).map_err(|e| e.to_string())?;
    TSigner::new(key, algorithm, name, FUDGE).map(Some).map_err(|e| e.to_string())
}

fn failed(update: &DnsUpdate, record: &Record<'_>, why: &str) -> Fault {
    let title = format!("the DNS server {} does not take the update", update.server);
    Fault::new(
        Blame::Host,
        Problem::new(Kind::Conflict, "acme.dns-update", title)
            .detail(format!("{}: {why}", record.fqdn))
            .hint("see the key's name, algorithm and rights: hop3 cert acme show"),
    )
}
