// SPDX-License-Identifier: Apache-2.0
//! The name in a client's certificate as one line of text that cannot be mistaken for another name (RFC 4514).

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// Attributes with a short name; others are written as their numbers.
const SHORT: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// The subject of a certificate that was verified. Empty when it has none that can be written.
pub(super) fn of(certificate: &CertificateDer<'_>) -> String {
    X509Certificate::from_der(certificate)
        .map_or_else(|_| String::new(), |(_, parsed)| text(parsed.subject()))
}

/// The most specific part first, as the standard has it.
pub(crate) fn text(name: &X509Name<'_>) -> String {
    let mut parts = Vec::new();
    for set in name.iter_rdn() {
        let attributes: Vec<String> = set
            .iter()
            .map(|attribute| {
                let number = attribute.attr_type().to_id_string();
                let short = SHORT.iter().find(|(known, _)| *known == number).map(|(_, short)| *short);
                let key = short.unwrap_or(&number).to_owned();
                match attribute.as_str() {
                    Ok(value) => format!("{key}={}", escaped(value)),
                    Err(_) => format!("{key}=#{}", hex(attribute.as_slice())),
                }
            })
            .collect();
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    parts.join(",")
}

/// Only visible ASCII goes out, and what has a meaning in the notation is written by its number.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    let last = value.len().saturating_sub(1);
    for (i, byte) in value.bytes().enumerate() {
        let is_edge = (byte == b' ' || byte == b'#') && (i == 0 || i == last);
        if b",+\"\\<>;=".contains(&byte) || is_edge || !(b' '..=b'~').contains(&byte) {
            out += &format!("\\{byte:02X}");
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
