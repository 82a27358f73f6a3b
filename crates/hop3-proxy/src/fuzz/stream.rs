// SPDX-License-Identifier: Apache-2.0
//! What a client sends on a stream of HTTP/3: wherever the pieces are cut, h3 is given the same, never more than one
//! frame at once, and a request's head names no protocol any more.

use super::choice;
use crate::http3::frame::{Frames, start};
use crate::http3::protocol::Asked;
use bytes::Bytes;
use h3::error::Code;
use std::cell::Cell;
use std::rc::Rc;

/// A frame that is longer is refused.
const LIMIT: usize = 200;

/// What came out.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    bytes: Vec<u8>,
    asked: Asked,
    ended: Result<(), Code>,
}

fn cut(pieces: impl Iterator<Item = Vec<u8>>) -> Cut {
    let asked = Rc::<Cell<Asked>>::default();
    let mut frames = Frames::new(LIMIT, asked.clone());
    let (mut bytes, mut left) = (Vec::new(), 0);
    let each = || {
        for piece in pieces {
            let mut rest = Bytes::from(piece);
            while let Some(piece) = frames.next(&mut rest)? {
                assert!(!piece.is_empty(), "h3 takes it for the end");
                left = left_after(left, &piece);
                bytes.extend_from_slice(&piece);
            }
            assert!(rest.is_empty(), "something is left");
        }
        frames.end()
    };
    let ended = each();
    Cut { bytes, asked: asked.get(), ended }
}

/// How much of a frame is still to come after a piece: its start, payload, or all of it where it is a head.
fn left_after(left: usize, piece: &[u8]) -> usize {
    if left > 0 {
        return left.checked_sub(piece.len()).expect("a piece goes over its frame");
    }
    let (_, length, used) = start(piece).expect("a frame begins");
    let payload = piece.len() - used;
    assert!([0, length as usize].contains(&payload), "a piece is more than a frame");
    length as usize - payload
}

/// The same comes out of any pieces, and again out of what came out.
pub fn stream_frames(mut data: &[u8]) {
    let size = usize::from(choice(&mut data)).max(1);
    let whole = cut(std::iter::once(data.to_vec()));
    let pieces = cut(data.chunks(size).map(<[u8]>::to_vec));
    assert_eq!(whole, pieces);
    if whole.ended.is_ok() {
        let again = cut(std::iter::once(whole.bytes.clone()));
        assert_eq!((again.bytes, again.asked, again.ended), (whole.bytes, Asked::Nothing, Ok(())));
    }
}
