// SPDX-License-Identifier: Apache-2.0
//! Bodies: wherever the pieces are cut, the same bytes come out, and nothing of the sender's framing with them.

use super::choice;
use crate::http1::body::{Body, Framing, Length};
use crate::http2::head as streams;
use crate::limit::{MAX_HEADERS, MAX_TRAILERS};

/// What was read of a body.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    data: Vec<u8>,
    trailers: Vec<u8>,
    consumed: usize,
    is_done: bool,
}

/// Reads a body in pieces, each as long as the next number says; `None` when it is malformed.
fn read(length: Length, bytes: &[u8], sizes: impl Iterator<Item = usize>) -> Option<Read> {
    let mut body = Body::new(length);
    let mut read = Read { data: Vec::new(), trailers: Vec::new(), consumed: 0, is_done: body.is_done() };
    for size in sizes {
        let rest = &bytes[read.consumed..];
        if body.is_done() || rest.is_empty() {
            break;
        }
        let mut piece = rest[..size.clamp(1, rest.len())].to_vec();
        let taken = body.take(&mut piece, &mut read.trailers).ok()?;
        assert!(taken.data <= taken.consumed && taken.consumed <= piece.len());
        assert!(
            taken.consumed == piece.len() || body.is_done(),
            "bytes are left over in the middle of a body"
        );
        read.data.extend_from_slice(&piece[..taken.data]);
        read.consumed += taken.consumed;
    }
    read.is_done = body.is_done();
    Some(read)
}

fn whole(length: Length, bytes: &[u8]) -> Option<Read> {
    read(length, bytes, std::iter::once(bytes.len()))
}

/// A chunked body means the same in any pieces, and the same again when it is chunked anew.
pub fn chunked_body(mut data: &[u8]) {
    let sizes = [choice(&mut data), choice(&mut data), choice(&mut data)].map(usize::from);
    let at_once = whole(Length::Chunked, data);
    let in_pieces = read(Length::Chunked, data, sizes.into_iter().cycle());
    assert_eq!(at_once, in_pieces);
    let Some(read) = at_once.filter(|read| read.is_done) else { return };
    assert!(read.data.len() < read.consumed && read.trailers.len() <= MAX_TRAILERS + read.consumed);
    check_trailers(&read.trailers);
    let mut out = Vec::new();
    for piece in read.data.chunks(sizes[0].max(1)) {
        Framing::Chunked.write(&mut out, piece);
    }
    Framing::Chunked.finish(&mut out, &read.trailers);
    let written = out.len();
    out.extend_from_slice(b"GET / HTTP/1.1\r\n");
    let again = whole(Length::Chunked, &out).expect("what was written is chunked");
    assert_eq!((&again.data, &again.trailers), (&read.data, &read.trailers));
    assert_eq!((again.consumed, again.is_done), (written, true));
}

fn check_trailers(trailers: &[u8]) {
    let block = [trailers, b"\r\n"].concat();
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let parsed = httparse::parse_headers(&block, &mut headers);
    let Ok(httparse::Status::Complete((end, headers))) = parsed else {
        panic!("trailers that were passed on are malformed")
    };
    assert_eq!(end, block.len());
    let told = streams::trailers(trailers);
    assert_eq!(told.len(), headers.len(), "trailers are lost on the way to HTTP/2");
    assert!(streams::trailer_lines(&told).len() <= trailers.len());
    for header in headers {
        let name = header.name.to_ascii_lowercase();
        let forbidden = ["content-length", "transfer-encoding", "host", "authorization", "te", "connection"];
        assert!(!forbidden.contains(&name.as_str()) && !name.starts_with("x-forwarded-"), "{name}");
    }
}

/// A body of any framing hands out what was put in and not a byte of what follows.
pub fn body_framing(mut data: &[u8]) {
    let size = usize::from(choice(&mut data)).max(1);
    let cut = usize::from(choice(&mut data)).min(data.len());
    let (body, rest) = data.split_at(data.len() - cut);
    let exact = read(Length::Exact(body.len() as u64), data, std::iter::repeat(size));
    let exact = exact.expect("a body of known length cannot be malformed");
    assert_eq!((exact.data.as_slice(), exact.is_done), (body, true));
    let open = read(Length::UntilClose, data, std::iter::repeat(size));
    assert_eq!(open.map(|read| (read.data, read.is_done)), Some((data.to_vec(), false)));
    let mut out = Vec::new();
    for piece in body.chunks(size) {
        Framing::Chunked.write(&mut out, piece);
    }
    Framing::Chunked.finish(&mut out, b"");
    let end = out.len();
    out.extend_from_slice(rest);
    let chunked = read(Length::Chunked, &out, std::iter::repeat(size)).expect("our own chunks");
    assert_eq!((chunked.data.as_slice(), chunked.consumed, chunked.is_done), (body, end, true));
    // What does not end here is not taken for ended.
    let mut longer = Body::new(Length::Exact(data.len() as u64 + 1));
    longer.take(&mut data.to_vec(), &mut Vec::new()).expect("a body of known length");
    assert!(!longer.is_done() && !longer.ends_at_close());
}
