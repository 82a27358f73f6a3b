// SPDX-License-Identifier: Apache-2.0
//! Answers a request with a file: headers and a small body in one write, a large body by `sendfile` where the
//! transport has it.

use super::condition::{Part, Version, Wanted, part};
use super::find::{Answer, Found, Root};
use super::kept::{self, Choice, SMALL};
use super::media::media_type;
use super::path::{BadPath, FilePath, decode};
use crate::buffer::Buffer;
use crate::client::{After, Client};
use crate::exchange::Ended;
use crate::http1::forward::Request;
use crate::http1::header::{is, own_slots, push_line};
use crate::http1::response::{push_connection, push_date, push_status};
use crate::page::{self, reason};
use hop3_core::route::StaticFiles;
use rustix::io::Errno;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::Duration;

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
    choice: Rc<Choice>,
    part: Part,
    /// The coding that makes it smaller on its way.
    coded: Option<&'static str>,
}

/// The request's headers that matter here.
struct Asked {
    wanted: Wanted,
    /// A bit for each of `SIBLINGS` that the client takes.
    encodings: u8,
}

/// Compressed siblings, the best first.
const SIBLINGS: [(&str, &str); 3] = [("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz")];

pub(crate) async fn serve(client: &mut Client, request: &Request, head: &[u8], place: Place<'_>) -> Ended {
    if !head.starts_with(b"GET ") && !head.starts_with(b"HEAD ") {
        return client.own(page::METHOD_NOT_ALLOWED, request, head).await;
    }
    let target = std::str::from_utf8(&head[request.path.clone()]).unwrap_or("/");
    let path = target.split('?').next().unwrap_or(target);
    let path = match decode(path.strip_prefix(place.prefix).unwrap_or(path)) {
        Ok(path) => path,
        Err(BadPath::Malformed) => return client.own(page::BAD_PATH, request, head).await,
        Err(BadPath::Hidden) => return client.own(page::NOT_FOUND, request, head).await,
    };
    let asked = Asked::of(head);
    if let Some(choice) = kept::get(&place.files.root, &path, asked.encodings) {
        return send(client, request, decide(choice, &asked, 200)).await;
    }
    match look(place.files, &path, &asked) {
        Ok(Looked::AddSlash) => redirect(client, request, target).await,
        Ok(Looked::Nothing) | Err(Errno::NOENT) => client.own(page::NOT_FOUND, request, head).await,
        Ok(Looked::Choice(choice, status)) => send(client, request, decide(choice, &asked, status)).await,
        Err(error) => {
            tracing::warn!(%error, path = %path.as_path().display(), "a static file cannot be read");
            client.own(page::UNREADABLE, request, head).await
        }
    }
}

enum Looked {
    AddSlash,
    Nothing,
    Choice(Rc<Choice>, u16),
}

/// Looks into the directory. A file asked for by its own name, or as the index of
/// its directory, is kept for the next request.
fn look(files: &StaticFiles, path: &FilePath, asked: &Asked) -> Result<Looked, Errno> {
    let mut root = Root::open(files)?;
    let mut answer = root.answer(path, files.spa)?;
    if let Answer::Missing(_) = &answer
        && let Some(former) = bridged(files, path)
    {
        (root, answer) = former;
    }
    let (found, status) = match answer {
        Answer::AddSlash => return Ok(Looked::AddSlash),
        Answer::Missing(None) => return Ok(Looked::Nothing),
        Answer::Missing(Some(found)) => (found, 404),
        Answer::File(found) => (found, 200),
    };
    let is_itself = status == 200 && (found.path == *path || path.is_folder);
    let choice = Rc::new(choose(&root, found, asked.encodings)?);
    if is_itself {
        kept::put((&files.root, path, asked.encodings), root, &choice);
    }
    Ok(Looked::Choice(choice, status))
}

/// The same file in a release before: pages that were loaded from it still ask for what it had. Pages themselves are
/// not bridged, only files with a name of their own.
fn bridged(files: &StaticFiles, wanted: &FilePath) -> Option<(Root, Answer)> {
    if !wanted.has_extension() || wanted.name().ends_with(b".html") {
        return None;
    }
    files.former.iter().find_map(|root| {
        let root = Root::open(&StaticFiles { root: root.clone(), ..StaticFiles::default() }).ok()?;
        let found = root.file(wanted).ok()??;
        Some((root, Answer::File(found)))
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

impl Asked {
    fn of(head: &[u8]) -> Asked {
        let mut asked = Asked { wanted: Wanted::default(), encodings: 0 };
        let mut slots = own_slots();
        let mut parsed = httparse::Request::new(&mut []);
        // It was written by the proxy itself, so that it parses.
        if parsed.parse_with_uninit_headers(head, &mut slots).is_err() {
            return asked;
        }
        for header in parsed.headers.iter() {
            let text = || String::from_utf8_lossy(header.value).into_owned();
            match header.name.len() {
                13 if is(header, "if-none-match") => asked.wanted.if_none_match = text(),
                17 if is(header, "if-modified-since") => asked.wanted.if_modified_since = text(),
                8 if is(header, "if-range") => asked.wanted.if_range = text(),
                5 if is(header, "range") => asked.wanted.range = text(),
                15 if is(header, "accept-encoding") => {
                    let accepted = text();
                    for (bit, (encoding, _)) in SIBLINGS.iter().enumerate() {
                        asked.encodings |= u8::from(accepts(&accepted, encoding)) << bit;
                    }
                }
                _ => {}
            }
        }
        asked
    }
}

fn decide(choice: Rc<Choice>, asked: &Asked, status: u16) -> Reply {
    // A 404 page is not the thing that was asked for, so no condition applies to it.
    let part = if status == 200 {
        part(&asked.wanted, &choice.version, choice.found.stat.st_size as u64)
    } else {
        Part::Whole
    };
    let status = match part {
        Part::Whole => status,
        Part::Range(..) => 206,
        Part::NotModified => 304,
        Part::Unsatisfiable => 416,
    };
    Reply { status, choice, part, coded: None }
}

/// Takes the compressed sibling where the client takes one, and reads what is small.
fn choose(root: &Root, found: Found, encodings: u8) -> Result<Choice, Errno> {
    let (media, is_text) = media_type(found.path.name());
    let (found, encoding) = if is_text { compressed(root, found, encodings)? } else { (found, None) };
    let version = Version::of(&found.stat);
    let size = found.stat.st_size as u64;
    let body = if size <= SMALL {
        let mut body = vec![0; size as usize];
        // One that is being written to is sent piece by piece, and cut off when it is too short.
        found.file.read_exact_at(&mut body, 0).ok().map(|()| body)
    } else {
        None
    };
    let last_modified = version.last_modified();
    Ok(Choice { found, version, last_modified, encoding, media, varies: is_text, body })
}

fn compressed(root: &Root, found: Found, encodings: u8) -> Result<(Found, Option<&'static str>), Errno> {
    for (bit, (encoding, suffix)) in SIBLINGS.iter().enumerate() {
        if encodings & (1 << bit) != 0
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
    let size = reply.choice.found.stat.st_size as u64;
    if let Some((coding, bytes)) = smaller(client, request, &reply) {
        reply.coded = Some(coding);
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
    let body = (!request.is_head && length > 0).then_some(Content::File(&reply.choice, start, length));
    finish(client, request, out, reply.status, body).await
}

/// What is sent.
enum Content<'a> {
    /// From a place on, so many bytes.
    File(&'a Choice, u64, u64),
    Bytes(Vec<u8>),
}

/// A file made smaller, with the name of the coding: where the service wants it, nothing smaller lies beside it, and it
/// is not large.
fn smaller(client: &Client, request: &Request, reply: &Reply) -> Option<(&'static str, Vec<u8>)> {
    let size = reply.choice.found.stat.st_size as u64;
    let is_fit =
        reply.status == 200 && reply.choice.varies && reply.choice.encoding.is_none() && !request.is_head;
    let plan = client.plan.as_ref().filter(|_| is_fit && size <= CODED)?;
    plan.code(size, || {
        if let Some(body) = &reply.choice.body {
            return Some(body.clone());
        }
        let mut bytes = vec![0; size as usize];
        reply.choice.found.file.read_exact_at(&mut bytes, 0).ok().map(|()| bytes)
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
        push_line(out, "Content-Type", reply.choice.media.as_bytes());
    }
    if reply.status == 206 {
        let range = format!("bytes {start}-{}/{size}", start + length - 1);
        push_line(out, "Content-Range", range.as_bytes());
    }
    if reply.status != 404 {
        let etag = &reply.choice.version.etag;
        match reply.coded {
            Some(_) => push_line(out, "ETag", format!("W/{etag}").as_bytes()),
            None => push_line(out, "ETag", etag.as_bytes()),
        }
        if let Some(date) = &reply.choice.last_modified {
            push_line(out, "Last-Modified", date.as_bytes());
        }
        if reply.coded.is_none() {
            push_line(out, "Accept-Ranges", b"bytes");
        }
    }
    if let Some(encoding) = reply.coded.or(reply.choice.encoding).filter(|_| reply.status != 304) {
        push_line(out, "Content-Encoding", encoding.as_bytes());
    }
    if reply.choice.varies {
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
        Some(Content::File(choice, start, length)) => match &choice.body {
            Some(body) => {
                out.open().extend_from_slice(&body[start as usize..(start + length) as usize]);
                client.send(&out).await
            }
            None => client.send(&out).await && stream(client, &choice.found, start, length).await,
        },
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
        let sending = client.stream.send_file(&found.file, offset, count);
        match client.in_time(sending).await {
            // Zero: the file has become shorter.
            Some(Ok(sent)) if sent > 0 => offset += sent as u64,
            _ => return false,
        }
    }
    true
}
