// SPDX-License-Identifier: Apache-2.0
//! Answers a request with a file: headers and a small body in one write, a large body by `sendfile`.

use super::condition::{Part, Version, Wanted, part};
use super::find::{Answer, Found, Root};
use super::media::media_type;
use super::path::{BadPath, FilePath, decode};
use crate::buffer::Buffer;
use crate::client::{After, Client, header_of};
use crate::exchange::Ended;
use crate::http1::forward::Request;
use crate::http1::header::push_line;
use crate::http1::response::{push_connection, push_date, push_status};
use crate::page::{self, reason};
use hop3_core::route::StaticFiles;
use rustix::io::Errno;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Bodies up to this size leave together with their head.
const SMALL: u64 = 64 << 10;
/// One `sendfile` asks for this much, so that one fast client does not hold the thread.
const STRIDE: u64 = 512 << 10;
/// A larger file is not made smaller on its way: that is for whoever builds it.
const CODED: u64 = 1 << 20;
const SEND_IDLE: Duration = Duration::from_secs(60);

/// The route a request was matched to.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) files: &'a StaticFiles,
    pub(crate) prefix: &'a str,
}

/// One response, decided.
struct Reply {
    status: u16,
    found: Found,
    version: Version,
    part: Part,
    encoding: Option<&'static str>,
    media: &'static str,
    varies: bool,
}

pub(crate) async fn serve(client: &mut Client, request: &Request, head: &[u8], place: Place<'_>) -> Ended {
    if !head.starts_with(b"GET ") && !head.starts_with(b"HEAD ") {
        return client.own(page::METHOD_NOT_ALLOWED, request, head).await;
    }
    let target = std::str::from_utf8(&head[request.path.clone()]).unwrap_or("/");
    let path = target.split('?').next().unwrap_or(target);
    let wanted = match decode(path.strip_prefix(place.prefix).unwrap_or(path)) {
        Ok(wanted) => wanted,
        Err(BadPath::Malformed) => return client.own(page::BAD_PATH, request, head).await,
        Err(BadPath::Hidden) => return client.own(page::NOT_FOUND, request, head).await,
    };
    let found = Root::open(place.files).and_then(|root| {
        let answer = root.answer(&wanted, place.files.spa)?;
        Ok((root, answer))
    });
    let found = match found {
        Ok((_, Answer::Missing(_))) if !place.files.former.is_empty() => {
            bridged(place.files, &wanted).unwrap_or(found)
        }
        found => found,
    };
    let reply = match found {
        Ok((_, Answer::AddSlash)) => return redirect(client, request, target).await,
        Ok((_, Answer::Missing(None))) | Err(Errno::NOENT) => {
            return client.own(page::NOT_FOUND, request, head).await;
        }
        Ok((root, Answer::File(found))) => decide(&root, found, head, 200),
        Ok((root, Answer::Missing(Some(found)))) => decide(&root, found, head, 404),
        Err(error) => Err(error),
    };
    match reply {
        Ok(reply) => send(client, request, reply).await,
        Err(error) => {
            tracing::warn!(%error, path = %wanted.as_path().display(), "a static file cannot be read");
            client.own(page::UNREADABLE, request, head).await
        }
    }
}

/// The same file in a release before: pages that were loaded from it still ask for what it had. Pages themselves are
/// not bridged, only files with a name of their own.
fn bridged(files: &StaticFiles, wanted: &FilePath) -> Option<Result<(Root, Answer), Errno>> {
    if !wanted.has_extension() || wanted.name().ends_with(b".html") {
        return None;
    }
    files.former.iter().find_map(|root| {
        let root = Root::open(&StaticFiles { root: root.clone(), ..StaticFiles::default() }).ok()?;
        let found = root.file(wanted).ok()??;
        Some(Ok((root, Answer::File(found))))
    })
}

/// The path with a slash after it. Leading slashes are made one, so that it cannot name another host.
async fn redirect(client: &mut Client, request: &Request, target: &str) -> Ended {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut location = format!("/{}/", path.trim_start_matches('/'));
    if let Some(query) = query {
        location = format!("{location}?{query}");
    }
    let mut out = Buffer::default();
    push_status(out.open(), 301, reason(301));
    push_line(out.open(), "Location", location.as_bytes());
    push_line(out.open(), "Content-Length", b"0");
    finish(client, request, out, 301, None).await
}

fn decide(root: &Root, found: Found, head: &[u8], status: u16) -> Result<Reply, Errno> {
    let (media, is_text) = media_type(found.path.name());
    let (found, encoding) = if is_text { compressed(root, found, head)? } else { (found, None) };
    let version = Version::of(&found.stat);
    let get = |name| header_of(head, name);
    // A 404 page is not the thing that was asked for, so no condition applies to it.
    let wanted = if status == 200 {
        Wanted {
            if_none_match: get("if-none-match"),
            if_modified_since: get("if-modified-since"),
            if_range: get("if-range"),
            range: get("range"),
        }
    } else {
        Wanted::default()
    };
    let part = part(&wanted, &version, found.stat.st_size as u64);
    let status = match part {
        Part::Whole => status,
        Part::Range(..) => 206,
        Part::NotModified => 304,
        Part::Unsatisfiable => 416,
    };
    Ok(Reply { status, found, version, part, encoding, media, varies: is_text })
}

/// The compressed sibling the client takes, best first.
fn compressed(root: &Root, found: Found, head: &[u8]) -> Result<(Found, Option<&'static str>), Errno> {
    const SIBLINGS: [(&str, &str); 3] = [("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz")];
    let accepted = header_of(head, "accept-encoding");
    for (encoding, suffix) in SIBLINGS {
        if accepts(&accepted, encoding)
            && let Some(sibling) = root.file(&found.path.with(suffix))?
            // An older one was made of an older file.
            && (sibling.stat.st_mtime, sibling.stat.st_mtime_nsec) >= (found.stat.st_mtime, found.stat.st_mtime_nsec)
        {
            return Ok((sibling, Some(encoding)));
        }
    }
    Ok((found, None))
}

fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|part| {
        let mut fields = part.split(';').map(str::trim);
        let is_named = fields.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        is_named && !fields.any(|field| matches!(field.trim_end_matches(['0', '.']), "q="))
    })
}

async fn send(client: &mut Client, request: &Request, mut reply: Reply) -> Ended {
    let size = reply.found.stat.st_size as u64;
    if let Some((coding, bytes)) = smaller(client, request, &reply) {
        reply.encoding = Some(coding);
        reply.version.etag.insert_str(0, "W/");
        let mut out = Buffer::default();
        write_head(&reply, (0, bytes.len() as u64, size), out.open());
        return finish(client, request, out, reply.status, Some(Content::Bytes(bytes))).await;
    }
    let (start, length) = match reply.part {
        Part::Whole => (0, size),
        Part::Range(start, length) => (start, length),
        Part::NotModified | Part::Unsatisfiable => (0, 0),
    };
    let mut out = Buffer::default();
    write_head(&reply, (start, length, size), out.open());
    let body = (!request.is_head && length > 0).then_some(Content::File(&reply.found, start, length));
    finish(client, request, out, reply.status, body).await
}

/// What is sent.
enum Content<'a> {
    /// From a place on, so many bytes.
    File(&'a Found, u64, u64),
    Bytes(Vec<u8>),
}

/// A file made smaller, with the name of the coding: where the service wants it, nothing smaller lies beside it, and it
/// is not large.
fn smaller(client: &Client, request: &Request, reply: &Reply) -> Option<(&'static str, Vec<u8>)> {
    let size = reply.found.stat.st_size as u64;
    let is_fit = reply.status == 200 && reply.varies && reply.encoding.is_none() && !request.is_head;
    let plan = client.plan.as_ref().filter(|_| is_fit && size <= CODED)?;
    plan.code(size, || {
        let mut bytes = vec![0; size as usize];
        reply.found.file.read_exact_at(&mut bytes, 0).ok().map(|()| bytes)
    })
}

fn write_head(reply: &Reply, (start, length, size): (u64, u64, u64), out: &mut Vec<u8>) {
    push_status(out, reply.status, reason(reply.status));
    if reply.status != 304 {
        push_line(out, "Content-Length", length.to_string().as_bytes());
        push_line(out, "X-Content-Type-Options", b"nosniff");
    }
    if reply.status == 416 {
        return push_line(out, "Content-Range", format!("bytes */{size}").as_bytes());
    }
    if reply.status != 304 {
        push_line(out, "Content-Type", reply.media.as_bytes());
    }
    if reply.status == 206 {
        let range = format!("bytes {start}-{}/{size}", start + length - 1);
        push_line(out, "Content-Range", range.as_bytes());
    }
    if reply.status != 404 {
        push_line(out, "ETag", reply.version.etag.as_bytes());
        if let Some(date) = reply.version.last_modified() {
            push_line(out, "Last-Modified", date.as_bytes());
        }
        if !reply.version.etag.starts_with('W') {
            push_line(out, "Accept-Ranges", b"bytes");
        }
    }
    if let Some(encoding) = reply.encoding.filter(|_| reply.status != 304) {
        push_line(out, "Content-Encoding", encoding.as_bytes());
    }
    if reply.varies {
        push_line(out, "Vary", b"Accept-Encoding");
    }
}

/// Ends the head in `out` and sends it, then the body.
async fn finish(
    client: &mut Client,
    request: &Request,
    mut out: Buffer,
    status: u16,
    body: Option<Content<'_>>,
) -> Ended {
    let is_read = request.has_no_body();
    let stays = is_read && request.keep_alive && client.worker.may_stay();
    push_date(out.open());
    push_connection(out.open(), stays, request.is_http10);
    out.open().extend_from_slice(b"\r\n");
    if let Some(plan) = &client.plan {
        plan.own(out.open(), 0);
    }
    let sent = match body {
        None => client.send(&out).await,
        Some(Content::Bytes(bytes)) => {
            out.open().extend_from_slice(&bytes);
            client.send(&out).await
        }
        Some(Content::File(found, start, length)) if length <= SMALL => {
            let head = out.len();
            out.open().resize(head + length as usize, 0);
            found.file.read_exact_at(&mut out[head..], start).is_ok() && client.send(&out).await
        }
        Some(Content::File(found, start, length)) => {
            client.send(&out).await && stream(client, found, start, length).await
        }
    };
    if !sent {
        // The announced length was not met.
        client.stream.abort();
    }
    let after = match (sent, stays, is_read) {
        (true, true, _) => After::Stay,
        (true, false, false) => After::Linger,
        _ => After::Close,
    };
    Ended { status, after }
}

async fn stream(client: &Client, found: &Found, start: u64, length: u64) -> bool {
    let mut offset = start;
    let end = start + length;
    while offset < end {
        client.worker.deadlines.set(&client.watch, SEND_IDLE);
        let count = (end - offset).min(STRIDE) as usize;
        let sending = client.stream.write_with(|socket| {
            let mut from = offset;
            Ok(rustix::fs::sendfile(socket, &found.file, Some(&mut from), count)?)
        });
        match client.in_time(sending).await {
            // Zero: the file has become shorter.
            Some(Ok(sent)) if sent > 0 => offset += sent as u64,
            _ => return false,
        }
    }
    true
}
