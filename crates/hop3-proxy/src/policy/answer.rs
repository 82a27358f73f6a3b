// SPDX-License-Identifier: Apache-2.0
//! `Answer`: what a feature answers itself, in place of the upstream.

use super::edit::push;
use super::live::Live;
use super::{Plan, error_page};
use crate::buffer::Buffer;
use crate::client::{After, Client, header_of};
use crate::exchange::Ended;
use crate::files;
use crate::http1::forward::Request;
use crate::http1::response::{push_connection, push_date, push_status};
use crate::page::{Manner, Page, reason};

pub(crate) struct Answer {
    status: u16,
    /// Header lines beside those that every answer has.
    lines: Vec<u8>,
    content: Content,
}

enum Content {
    Empty,
    Page(Page),
    Bytes(Vec<u8>, String),
    /// Its header lines say everything about it.
    Kept(Vec<u8>),
}

impl Answer {
    pub(super) fn page(page: Page) -> Answer {
        Answer { status: page.status, lines: Vec::new(), content: Content::Page(page) }
    }

    pub(super) fn empty(status: u16) -> Answer {
        Answer { status, lines: Vec::new(), content: Content::Empty }
    }

    pub(super) fn text(status: u16, text: &str) -> Answer {
        Answer::bytes(status, format!("{text}\n").into_bytes(), "text/plain; charset=utf-8")
    }

    pub(super) fn bytes(status: u16, bytes: Vec<u8>, media: &str) -> Answer {
        Answer { status, lines: Vec::new(), content: Content::Bytes(bytes, media.to_owned()) }
    }

    /// An answer that was kept; `lines` are all it had.
    pub(super) fn kept(status: u16, lines: Vec<u8>, body: Vec<u8>) -> Answer {
        Answer { status, lines, content: Content::Kept(body) }
    }

    /// A file of the service, or the page where it cannot be read.
    pub(super) fn file(live: &Live, name: &str, page: Page) -> Answer {
        match live.pages.as_deref().and_then(|root| files::page(root, name)) {
            Some((bytes, media)) => Answer::bytes(page.status, bytes, media),
            None => Answer::page(page),
        }
    }

    /// The address is one that a policy made of parts it knows; what a visitor wrote is encoded in it.
    pub(super) fn redirect(status: u16, address: &str) -> Answer {
        let mut location = String::with_capacity(address.len());
        for byte in address.bytes() {
            match byte {
                b'!'..=b'~' if !b"\"<>\\^`{|}".contains(&byte) => location.push(byte as char),
                _ => location += &format!("%{byte:02X}"),
            }
        }
        Answer::empty(status).line("Location", &location)
    }

    pub(super) fn line(mut self, name: &str, value: &str) -> Answer {
        push(&mut self.lines, name, value);
        self
    }

    pub(super) async fn send(self, client: &mut Client, request: &Request, head: &[u8]) -> Ended {
        let is_read = request.has_no_body();
        let stays = is_read && request.keep_alive && client.worker.may_stay();
        let accept = header_of(head, "accept");
        let id = std::str::from_utf8(&head[request.id.clone()]).unwrap_or_default();
        let manner =
            Manner { accept: &accept, is_head: request.is_head, is_http10: request.is_http10, stays, id };
        let mut out = Buffer::default();
        self.write(client.plan.as_deref(), manner, out.open());
        let after = match client.send(&out).await {
            true if stays => After::Stay,
            true if is_read => After::Close,
            true => After::Linger,
            false => After::Close,
        };
        Ended { status: self.status, after }
    }

    /// Appends the whole response.
    fn write(&self, plan: Option<&Plan>, manner: Manner, out: &mut Vec<u8>) {
        let from = out.len();
        match &self.content {
            Content::Page(page) => match plan.and_then(|plan| own_page(&plan.live, page.status)) {
                Some((bytes, media)) => self.head(Some((&bytes, media)), manner, out),
                None => {
                    page.write(manner, out);
                    super::edit::response(
                        out,
                        from,
                        &Default::default(),
                        &String::from_utf8_lossy(&self.lines),
                    );
                }
            },
            Content::Empty => self.head(None, manner, out),
            Content::Bytes(bytes, media) => self.head(Some((bytes, media)), manner, out),
            Content::Kept(body) => self.head(Some((body, "")), manner, out),
        }
        if let Some(plan) = plan {
            plan.own(out, from);
        }
    }

    fn head(&self, body: Option<(&[u8], &str)>, manner: Manner, out: &mut Vec<u8>) {
        push_status(out, self.status, reason(self.status));
        out.extend_from_slice(&self.lines);
        if let Some((_, media)) = body.filter(|(_, media)| !media.is_empty()) {
            push(out, "Content-Type", media);
        }
        let length = body.map_or(0, |(bytes, _)| bytes.len());
        if self.status != 204 && self.status != 304 {
            push(out, "Content-Length", &length.to_string());
        }
        if super::edit::line_value(&self.lines, "Date").is_none() {
            push_date(out);
        }
        push_connection(out, manner.stays, manner.is_http10);
        out.extend_from_slice(b"\r\n");
        if let Some((bytes, _)) = body.filter(|_| !manner.is_head) {
            out.extend_from_slice(bytes);
        }
    }
}

/// Appends a page of the proxy's own, as the service's policy wants it.
pub(super) fn write_page(page: Page, plan: &Plan, manner: Manner, out: &mut Vec<u8>) {
    let answer = match page.retry_after() {
        0 => Answer::page(page),
        secs if error_page::file(&plan.live, page.status).is_some() => {
            Answer::page(page).line("Retry-After", &secs.to_string())
        }
        _ => Answer::page(page),
    };
    answer.write(Some(plan), manner, out);
}

fn own_page(live: &Live, status: u16) -> Option<(Vec<u8>, &'static str)> {
    let root = live.pages.as_deref()?;
    files::page(root, error_page::file(live, status)?)
}
