// SPDX-License-Identifier: Apache-2.0
//! The floor: each client connection has one of its own to the upstream, and bytes are carried without being read.

use crate::Options;
use crate::epoll::{Epoll, key, listen};
use rustix::event::epoll::EventFlags;
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;

/// One end; what could not be sent to it waits in `pending`.
struct End {
    stream: TcpStream,
    other: usize,
    pending: RefCell<Vec<u8>>,
}

pub fn run(options: &Options) -> io::Result<()> {
    let listener = listen(&options.text("listen", "127.0.0.1:0"))?;
    let to = options.text("to", "");
    let epoll = Epoll::new()?;
    epoll.add(&listener, usize::MAX)?;
    let mut ends: Vec<Option<Rc<End>>> = Vec::new();
    let mut events = Vec::with_capacity(512);
    let mut buffer = vec![0; 64 << 10];
    loop {
        epoll.wait(&mut events)?;
        for event in &events {
            let key = key(event);
            if key == usize::MAX {
                while let Ok((client, _)) = listener.accept() {
                    pair(&epoll, &mut ends, client, TcpStream::connect(&to)?)?;
                }
                continue;
            }
            let Some(end) = ends.get(key).and_then(Clone::clone) else { continue };
            let Some(other) = ends[end.other].clone() else { continue };
            let flags = event.flags;
            let mut result = Ok(());
            if flags.contains(EventFlags::OUT) && !end.pending.borrow().is_empty() {
                result = carry(&other, &end, &mut buffer);
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                result = result.and_then(|()| carry(&end, &other, &mut buffer));
            }
            if result.is_err() {
                ends[key] = None;
                ends[end.other] = None;
            }
        }
    }
}

fn pair(epoll: &Epoll, ends: &mut Vec<Option<Rc<End>>>, a: TcpStream, b: TcpStream) -> io::Result<()> {
    let mut free = ends.iter().enumerate().filter(|(_, end)| end.is_none()).map(|(place, _)| place);
    let places = match (free.next(), free.next()) {
        (Some(one), Some(two)) => [one, two],
        _ => {
            let start = ends.len();
            ends.extend([None, None]);
            [start, start + 1]
        }
    };
    for (i, stream) in [a, b].into_iter().enumerate() {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        epoll.add(&stream, places[i])?;
        ends[places[i]] = Some(Rc::new(End { stream, other: places[1 - i], pending: RefCell::default() }));
    }
    Ok(())
}

/// Everything there is, as far as the other side takes it. A short read means that there is no more.
fn carry(from: &End, to: &End, buffer: &mut [u8]) -> io::Result<()> {
    let mut pending = to.pending.borrow_mut();
    while !pending.is_empty() {
        match (&to.stream).write(&pending) {
            Ok(count) => drop(pending.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    loop {
        let count = match (&from.stream).read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let sent = match (&to.stream).write(&buffer[..count]) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if sent < count {
            pending.extend_from_slice(&buffer[sent..count]);
            return Ok(());
        }
        if count < buffer.len() {
            return Ok(());
        }
    }
}
