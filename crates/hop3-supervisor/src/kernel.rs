// SPDX-License-Identifier: Apache-2.0
//! The only unsafe code: two calls whose contracts the compiler cannot see, each made safe by its signature here.
#![expect(unsafe_code, reason = "both contracts are kept by what the functions take")]

use rustix::fd::OwnedFd;
use rustix::thread::UnshareFlags;
use std::io;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor for reading.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, names the same descriptor all its life, and is owned by the `AsyncFd` from here.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.map_err(io::Error::from)
}

/// Gives the calling thread a mount namespace of its own.
pub(crate) fn unshare_mounts() -> rustix::io::Result<()> {
    unshare(UnshareFlags::NEWNS)
}

/// Gives the calling thread a network of its own, which leads nowhere.
pub(crate) fn unshare_network() -> rustix::io::Result<()> {
    unshare(UnshareFlags::NEWNET)
}

fn unshare(namespace: UnshareFlags) -> rustix::io::Result<()> {
    let namespace = namespace & (UnshareFlags::NEWNS | UnshareFlags::NEWNET);
    // SAFETY: the call is unsafe for CLONE_FILES, which could pull descriptors from under another thread; it is masked.
    unsafe { rustix::thread::unshare_unsafe(namespace) }
}
