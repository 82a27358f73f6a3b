// SPDX-License-Identifier: Apache-2.0
//! The pages of the proxy's own: when there is nobody to ask, or nobody who answers. HTML, JSON or plain text, as
//! the client prefers.
//!
//! Invariant: a page says what a visitor can do, and nothing about what runs here: no names, addresses or versions.

use crate::http1::request::Refusal;
use crate::http1::response::{push_connection, push_date, push_status};

/// What a visitor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) status: u16,
    code: &'static str,
    title: &'static str,
    detail: &'static str,
    /// Seconds for `Retry-After`; 0 for none.
    retry_secs: u8,
    /// A browser asks again by itself after that time.
    refreshes: bool,
    /// The request's number is told, for whoever asks the owner about it.
    is_numbered: bool,
}

const fn page(
    status: u16,
    code: &'static str,
    title: &'static str,
    detail: &'static str,
    retry_secs: u8,
) -> Page {
    Page { status, code, title, detail, retry_secs, refreshes: false, is_numbered: false }
}

pub(crate) const UNKNOWN_HOST: Page = page(
    404,
    "proxy.unknown-host",
    "There is nothing at this address",
    "No application answers for this host name. Check the address; if it is yours, add the domain to the application.",
    0,
);
pub(crate) const MISDIRECTED: Page = page(
    421,
    "proxy.misdirected",
    "This connection is for another host name",
    "It was opened for a host name with another certificate. A new connection to this address works.",
    0,
);
pub(crate) const CERTIFICATE_WANTED: Page = page(
    403,
    "proxy.certificate-wanted",
    "A certificate is needed here",
    "This address answers over HTTPS alone, to clients that show a certificate.",
    0,
);
pub(crate) const HTTPS_WANTED: Page =
    page(403, "proxy.https-wanted", "HTTPS is needed here", "This address answers over HTTPS alone.", 0);
pub(crate) const NO_ROUTE: Page = page(
    404,
    "proxy.no-route",
    "There is nothing at this path",
    "The application of this host name does not answer for this path.",
    0,
);
pub(crate) const NOT_FOUND: Page =
    page(404, "proxy.not-found", "Page not found", "There is no file at this path.", 0);
pub(crate) const NOT_DEPLOYED: Page = page(
    503,
    "proxy.not-deployed",
    "Not deployed yet",
    "The application exists and has no release yet. It appears here after its first deployment.",
    30,
);
pub(crate) const STOPPED: Page = page(
    503,
    "proxy.stopped",
    "Stopped",
    "The application has been stopped on purpose. It comes back when its owner starts it.",
    30,
);
pub(crate) const STARTING: Page =
    page(503, "proxy.starting", "Starting", "The application is starting. Try again in a few seconds.", 2);
pub(crate) const WAKING: Page = Page { refreshes: true, ..STARTING };
pub(crate) const NOT_WOKEN: Page = page(
    503,
    "proxy.not-woken",
    "The application could not be started",
    "It was asleep, and ended or did not become ready when it was woken. Its owner finds the reason in its log.",
    10,
);
pub(crate) const CROWDED: Page = page(
    503,
    "proxy.crowded",
    "Too many are waiting",
    "The application is starting, and many wait for it already. Try again in a few seconds.",
    5,
);
pub(crate) const DOWN: Page = page(
    503,
    "proxy.down",
    "The application does not answer",
    "It may be restarting. Try again in a few seconds.",
    5,
);
pub(crate) const BROKEN: Page = page(
    502,
    "proxy.bad-answer",
    "The application broke off",
    "It ended the connection before it had answered, or its answer was malformed. The request may have been carried out.",
    0,
);
pub(crate) const TOO_SLOW: Page = page(
    504,
    "proxy.too-slow",
    "The application took too long",
    "It did not answer in time. The request may have been carried out.",
    0,
);
pub(crate) const METHOD_NOT_ALLOWED: Page =
    page(405, "proxy.method-not-allowed", "Method not allowed", "Only GET and HEAD are possible here.", 0);
pub(crate) const BAD_PATH: Page =
    page(400, "proxy.bad-path", "Bad path", "The path is malformed or leads outside.", 0);
pub(crate) const UNREADABLE: Page =
    page(500, "proxy.unreadable", "The file cannot be read", "The server's log says why.", 0);

pub(crate) const FORBIDDEN: Page =
    page(403, "proxy.forbidden", "Not for you", "The owner of this address does not let you in.", 0);
pub(crate) const PASSWORD_WANTED: Page =
    page(401, "proxy.password-wanted", "Password wanted", "This address is protected by a password.", 0);
pub(crate) const MAINTENANCE: Page =
    page(503, "proxy.maintenance", "Back soon", "The application is being worked on. Try again later.", 0);
pub(crate) const PAUSED: Page =
    page(503, "proxy.paused", "Paused", "The application is being changed. Try again in a few seconds.", 0);
pub(crate) const TOO_LARGE: Page =
    page(413, "proxy.too-large", "Too large", "The request's body is larger than the application allows.", 0);
pub(crate) const TOO_MANY: Page = page(
    429,
    "proxy.too-many",
    "Too many requests",
    "You have sent more requests than are allowed. Wait a little.",
    0,
);
pub(crate) const BUSY: Page =
    page(503, "proxy.busy", "Busy", "Very many passwords are being checked. Try again in a moment.", 0);
pub(crate) const GATE_AWAY: Page = page(
    502,
    "proxy.gate-away",
    "Signing in is not possible",
    "The service that says who may come in does not answer.",
    0,
);

pub(crate) const FILTERED: Page = Page {
    is_numbered: true,
    ..page(
        403,
        "proxy.filtered",
        "This request looks like an attack",
        "It was stopped before it reached the application. If it was none, tell the owner of this address its number.",
        0,
    )
};
pub(crate) const FILTER_AWAY: Page = page(
    503,
    "proxy.filter-away",
    "Requests cannot be checked",
    "This address checks requests before they reach the application, and the filter does not answer.",
    5,
);

impl From<Refusal> for Page {
    fn from(refusal: Refusal) -> Page {
        page(refusal.status, "proxy.refused", "The request cannot be served", refusal.reason, 0)
    }
}

impl From<hop3_core::route::Page> for Page {
    fn from(page: hop3_core::route::Page) -> Page {
        match page {
            hop3_core::route::Page::NotDeployed => NOT_DEPLOYED,
            hop3_core::route::Page::Stopped => STOPPED,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Html,
    Json,
    Text,
}

/// How a page goes out.
#[derive(Clone, Copy)]
pub(crate) struct Manner<'a> {
    pub(crate) accept: &'a str,
    pub(crate) is_head: bool,
    pub(crate) is_http10: bool,
    pub(crate) stays: bool,
    /// The request's number; nothing in it needs an escape.
    pub(crate) id: &'a str,
}

impl Page {
    /// Sent where a page of the service's own for that status cannot be read.
    pub(crate) const fn in_place_of(status: u16) -> Page {
        page(
            status,
            "proxy.error",
            "The application answered with an error",
            "Its own page cannot be read.",
            0,
        )
    }

    /// Seconds; 0 for none.
    pub(crate) fn retry_after(&self) -> u8 {
        self.retry_secs
    }

    /// Appends the whole response.
    pub(crate) fn write(&self, manner: Manner, out: &mut Vec<u8>) {
        let format = preferred(manner.accept);
        let body = self.body(format, manner.id);
        push_status(out, self.status, reason(self.status));
        let media = match format {
            Format::Html => "text/html; charset=utf-8",
            Format::Json => "application/json",
            Format::Text => "text/plain; charset=utf-8",
        };
        let mut head = format!("Content-Type: {media}\r\nContent-Length: {}\r\n", body.len());
        head += "Cache-Control: no-store\r\n";
        if self.retry_secs > 0 {
            head += &format!("Retry-After: {}\r\n", self.retry_secs);
        }
        if self.refreshes {
            head += &format!("Refresh: {}\r\n", self.retry_secs);
        }
        if self.status == 405 {
            head += "Allow: GET, HEAD\r\n";
        }
        out.extend_from_slice(head.as_bytes());
        push_date(out);
        push_connection(out, manner.stays, manner.is_http10);
        out.extend_from_slice(b"\r\n");
        if !manner.is_head {
            out.extend_from_slice(body.as_bytes());
        }
    }

    fn body(&self, format: Format, id: &str) -> String {
        let Page { status, code, title, .. } = self;
        let detail = match self.is_numbered {
            true => format!("{} Number: {id}", self.detail),
            false => self.detail.to_owned(),
        };
        match format {
            Format::Text => format!("{status} {title}\n{detail}\n"),
            Format::Json => {
                let fields =
                    serde_json::json!({ "status": status, "code": code, "title": title, "detail": detail });
                format!("{fields}\n")
            }
            Format::Html => format!(
                "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
                 <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n\
                 <style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem;\
                 color:#1b1b1f;background:#fff}}h1{{font-size:1.6rem;margin:0}}p{{color:#55555f}}small{{color:#8a8a94}}\
                 @media(prefers-color-scheme:dark){{body{{background:#17171a;color:#eee}}p{{color:#aaa}}}}</style>\n\
                 <h1>{title}</h1>\n<p>{detail}</p>\n<small>{status}</small>\n</html>\n"
            ),
        }
    }
}

/// As the browser of a person does.
pub(crate) fn prefers_html(accept: &str) -> bool {
    preferred(accept) == Format::Html
}

/// The first of the three kinds that `Accept` names; text when it names none, as `curl` does.
fn preferred(accept: &str) -> Format {
    for part in accept.split(',') {
        let media = part.split(';').next().unwrap_or("").trim();
        match media {
            "text/html" | "application/xhtml+xml" => return Format::Html,
            "application/json" | "application/problem+json" => return Format::Json,
            "text/plain" => return Format::Text,
            _ => {}
        }
    }
    Format::Text
}

/// Reason phrases of the statuses the proxy itself answers.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
