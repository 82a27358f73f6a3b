// SPDX-License-Identifier: Apache-2.0
//! Compression on the way: which coding the client prefers, which answers are worth it, and the coder itself.
//!
//! Windows are small and levels low, so that an answer under way costs about a megabyte at most and a core keeps up
//! with a fast network. Each piece is flushed: what an upstream has sent is never held back (server-sent events).

use super::edit::{Edit, response as edit_response, value};
use crate::http1::body::{Framing, Length};
use crate::http1::response::Response;
use std::io::{self, Write};

const GZIP_LEVEL: u32 = 5;
const ZSTD_LEVEL: i32 = 3;
const ZSTD_WINDOW_LOG: u32 = 17;
const BROTLI_QUALITY: u32 = 4;
const BROTLI_WINDOW_LOG: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// What the client likes best; among equals the one that takes the least work.
    pub(super) fn best(accepts: &str) -> Option<Coding> {
        let weight = |coding: &Coding| weight_of(accepts, coding.name());
        // The last of equals is taken.
        let liked = [Coding::Gzip, Coding::Brotli, Coding::Zstd].into_iter().filter(|c| weight(c) > 0);
        liked.max_by_key(weight)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }
}

/// In thousandths; a coding that is not named has the weight of `*`.
fn weight_of(accepts: &str, coding: &str) -> u16 {
    let mut any = 0;
    for part in accepts.split(',') {
        let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
        let quality = parameters.split(';').find_map(|p| {
            let (key, value) = p.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then(|| value.trim())
        });
        let weight = match quality.map(str::parse::<f32>) {
            None => 1000,
            Some(Ok(weight)) => (weight.clamp(0.0, 1.0) * 1000.0) as u16,
            Some(Err(_)) => 0,
        };
        match name.trim() {
            name if name.eq_ignore_ascii_case(coding) => return weight,
            "*" => any = weight,
            _ => {}
        }
    }
    any
}

/// A head, rewritten for the client, of an answer that is worth it: text of some length, whole, not coded, not
/// forbidden to change.
pub(super) fn is_fit(head: &[u8], response: &Response, min_size: u64) -> bool {
    let has_body =
        !matches!(response.length, Length::None) && !matches!(response.status, 101 | 204 | 206 | 304);
    let is_small = matches!(response.length, Length::Exact(length) if length < min_size);
    let is_fixed = ["Content-Encoding", "Content-Range"].iter().any(|name| value(head, name).is_some());
    let forbids =
        value(head, "Cache-Control").is_some_and(|v| v.to_ascii_lowercase().contains("no-transform"));
    has_body && !is_small && !is_fixed && !forbids && value(head, "Content-Type").is_some_and(is_text)
}

/// Media types that become smaller.
fn is_text(content_type: &str) -> bool {
    const OTHERS: &[&str] = &[
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/xml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/svg+xml",
        "image/vnd.microsoft.icon",
        "image/x-icon",
    ];
    let media = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    media.starts_with("text/")
        || (media.starts_with("application/") && (media.ends_with("+json") || media.ends_with("+xml")))
        || OTHERS.contains(&media.as_str())
}

/// Tells caches that the answer depends on the client, and the client what it gets. Without a coding only the former.
pub(super) fn announce(out: &mut Vec<u8>, from: usize, coding: Option<Coding>, response: &mut Response) {
    let head = &out[from..];
    let mut edit = Edit::default();
    let vary = value(head, "Vary").unwrap_or_default().to_owned();
    let is_told =
        vary.split(',').any(|v| matches!(v.trim(), "*") || v.trim().eq_ignore_ascii_case("accept-encoding"));
    let mut lines = if is_told { String::new() } else { "Vary: Accept-Encoding\r\n".to_owned() };
    if let Some(coding) = coding {
        let etag = value(head, "ETag").filter(|etag| etag.starts_with('"')).map(|etag| format!("W/{etag}"));
        if let Some(etag) = etag {
            edit.set("ETag", &etag);
        }
        edit.remove("Content-Length");
        edit.remove("Accept-Ranges");
        edit.remove("Content-MD5");
        lines += &format!("Content-Encoding: {}\r\n", coding.name());
        if response.framing != Framing::Chunked {
            lines += "Transfer-Encoding: chunked\r\n";
            response.framing = Framing::Chunked;
        }
    }
    edit_response(out, from, &edit, &lines);
}

/// One answer being made smaller.
pub(crate) enum Coder {
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

impl Coder {
    pub(super) fn new(coding: Coding) -> Option<Coder> {
        Some(match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Coder::Gzip(Box::new(flate2::write::GzEncoder::new(Vec::new(), level)))
            }
            Coding::Brotli => {
                let writer =
                    brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, BROTLI_WINDOW_LOG);
                Coder::Brotli(Box::new(writer))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).ok()?;
                encoder.set_parameter(zstd::stream::raw::CParameter::WindowLog(ZSTD_WINDOW_LOG)).ok()?;
                Coder::Zstd(Box::new(encoder))
            }
        })
    }

    /// Takes a piece of body; gives everything that can be told of it so far.
    pub(crate) fn push(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        Ok(std::mem::take(match self {
            Coder::Gzip(coder) => {
                coder.write_all(data)?;
                coder.flush()?;
                coder.get_mut()
            }
            Coder::Brotli(coder) => {
                coder.write_all(data)?;
                coder.flush()?;
                coder.get_mut()
            }
            Coder::Zstd(coder) => {
                coder.write_all(data)?;
                coder.flush()?;
                coder.get_mut()
            }
        }))
    }

    /// What ends the body.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Coder::Gzip(coder) => coder.finish(),
            Coder::Brotli(coder) => Ok(coder.into_inner()),
            Coder::Zstd(coder) => coder.finish(),
        }
    }
}

#[cfg(test)]
mod tests;
