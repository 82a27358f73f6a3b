// SPDX-License-Identifier: Apache-2.0
//! One thread, one epoll, descriptors registered once and edge-triggered.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

pub struct Epoll(OwnedFd);

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        Ok(Epoll(epoll::create(CreateFlags::CLOEXEC)?))
    }

    pub fn add(&self, fd: impl AsFd, key: usize) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.0, fd, EventData::new_u64(key as u64), flags)?)
    }

    /// The keys of what became ready.
    pub fn wait(&self, events: &mut Vec<Event>) -> io::Result<()> {
        loop {
            events.clear();
            match epoll::wait(&self.0, rustix::buffer::spare_capacity(events), None) {
                Err(rustix::io::Errno::INTR) => {}
                result => return Ok(result.map(|_| ())?),
            }
        }
    }
}

pub fn key(event: &Event) -> usize {
    let data = event.data;
    data.u64() as usize
}

/// Ports are free again a moment after the run before.
pub fn listen(address: &str) -> io::Result<TcpListener> {
    let until = Instant::now() + Duration::from_secs(5);
    let listener = loop {
        match TcpListener::bind(address) {
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
            Ok(listener) => break listener,
        }
    };
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
