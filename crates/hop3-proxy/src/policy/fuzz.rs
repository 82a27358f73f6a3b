// SPDX-License-Identifier: Apache-2.0
//! What must hold of the features for any bytes (`crate::fuzz`): they see the request that the upstream gets, change
//! nothing about where messages end, and keep nothing that is somebody's own.

use super::cache::freshness;
use super::edit::Edit;
use super::visit::{self, Visit};
use super::{auth, compress, forward_auth};
use crate::buffer::Buffer;
use crate::fuzz::{PEER, choice, forwarded, read, split, text};
use crate::http1::header::own_slots;
use crate::http1::response;
use jiff::Timestamp;

/// The features of a service see the request that the upstream gets.
pub fn visit(data: &[u8]) {
    let Some((head, request)) = forwarded(data) else { return };
    let visit = Visit::new(PEER, &request, &head);
    let mut slots = own_slots();
    let again = read(&head, &mut slots);
    assert_eq!((visit.method, visit.target), (again.method, again.path));
    assert_eq!(visit.host.as_bytes(), again.host);
    assert_eq!(visit.headers().len(), again.headers.len(), "headers that rules look at are missing");
    assert_eq!((visit.header("x-forwarded-for"), visit.scheme), (Some(PEER), "https"));
    let plain = visit::plain(visit.path());
    assert!(plain.starts_with('/') && !plain.contains("//") && !plain.contains('\\'), "{plain:?}");
    assert!(plain.split('/').all(|part| part != ".." && part != "."), "{plain:?}");
    for name in ["a", "hop3-lot"] {
        assert!(visit.cookie_of(name).is_none_or(|value| !value.contains([';', '\r', '\n'])));
    }
    if let Some(credentials) = visit.header("authorization").and_then(auth::basic)
        && let Some((user, password)) = auth::split(&credentials)
    {
        assert!(!user.contains(':'));
        assert_eq!(user.len() + 1 + password.len(), credentials.len());
    }
    if let Some(accepts) = visit.header("accept-encoding") {
        let coding = compress::Coding::best(accepts).map(compress::Coding::name);
        let named = |name: &str| accepts.to_ascii_lowercase().contains(name) || accepts.contains('*');
        assert!(coding.is_none_or(named), "{accepts:?} does not ask for {coding:?}");
    }
}

/// A change of a head leaves a head, and what is known of places in it.
pub fn head_edit(mut data: &[u8]) {
    let (target, remove) = (text(&mut data), text(&mut data));
    let (name, value) = (text(&mut data), split(&mut data));
    let Some((head, mut request)) = forwarded(data) else { return };
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // As policies are checked: names are names, framing is nobody's to change.
    let framing = ["host", "connection", "content-length", "transfer-encoding", "upgrade", "expect"];
    if !is_name(&name) || framing.iter().any(|one| name.eq_ignore_ascii_case(one)) {
        return;
    }
    let value: String = String::from_utf8_lossy(value).chars().filter(char::is_ascii).collect();
    let has_control = value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f);
    let mut edit = Edit::default();
    if target.starts_with('/') && target.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        edit.target(target.clone().into_owned());
    }
    if !framing.iter().any(|one| remove.eq_ignore_ascii_case(one)) {
        edit.remove(&remove);
    }
    if !has_control || value.contains(['\r', '\n', '\0']) {
        edit.set(&name, &value);
    }
    let (is_elsewhere, method_end) = (edit.is_elsewhere(), request.path.start);
    let before = request.clone();
    let mut buffer = Buffer::default();
    buffer.open().extend_from_slice(&head);
    edit.apply(&mut request, &mut buffer);
    let mut slots = own_slots();
    let again = read(&buffer, &mut slots);
    assert_eq!(&head[..method_end], &buffer[..method_end]);
    assert_eq!(&buffer[request.path.clone()], again.path.as_bytes());
    assert_eq!(&buffer[request.host.clone()], again.host);
    assert_eq!((again.length, again.upgrade), (before.length, before.upgrade));
    let path = if is_elsewhere { target.as_bytes() } else { &head[before.path.clone()] };
    assert_eq!(again.path.as_bytes(), path);
    let of_name = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(&name);
    if value.bytes().all(|b| b.is_ascii_graphic()) {
        let found: Vec<_> = again.headers.iter().filter(of_name).map(|header| header.value).collect();
        assert_eq!(found, [value.as_bytes()]);
    }
}

/// Nothing is kept that is somebody's own, whatever else is said, and nothing for longer than a day.
pub fn freshness(mut data: &[u8]) {
    let now = Timestamp::from_second(1_704_067_200).expect("a time");
    let (_, request) = forwarded(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("a request");
    let status = [200, 203, 204, 206, 301, 302, 404, 500][usize::from(choice(&mut data) & 7)];
    let value = split(&mut data);
    let mut out = Vec::new();
    let Ok(Some(_)) = response::rewrite(data, &request, true, &mut out) else { return };
    let head = |line: &[u8]| {
        let end = out.iter().position(|b| *b == b'\n').unwrap_or_default() + 1;
        [&out[..end], line, &out[end..]].concat()
    };
    let kept = freshness::of(&out, status, now);
    assert!(kept.is_none_or(|kept| !kept.lifetime.is_zero() && kept.lifetime.as_secs() <= 86_400));
    assert!(freshness::of(&out, 206, now).is_none() && freshness::of(&out, 500, now).is_none());
    let is_value = value.iter().all(|b| matches!(b, b'\t' | b' '..=b'~' | 0x80..));
    for line in
        [&b"Set-Cookie: "[..], b"Cache-Control: no-store,", b"cache-control: x, PRIVATE,", b"Vary: *,"]
    {
        let line = [line, if is_value { value } else { b"" }, b"\r\n"].concat();
        let kept = freshness::of(&head(&line), status, now);
        assert!(kept.is_none(), "kept in spite of {}", line.escape_ascii());
    }
}

/// What a service says of a visitor is the same whenever it is read, and adds no line that it did not say.
pub fn auth_answer(mut data: &[u8]) {
    let cut = usize::from(choice(&mut data)) << 3;
    let Ok(Some(said)) = forward_auth::parse(data, true) else { return };
    assert!((200..1000).contains(&said.status));
    assert!(said.cookies().all(|cookie| !cookie.contains(['\r', '\n', '\0'])));
    if let Ok(Some(early)) = forward_auth::parse(&data[..cut.min(data.len())], false) {
        assert_eq!((early.status, early.body), (said.status, said.body));
    }
}
