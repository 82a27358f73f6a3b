// SPDX-License-Identifier: Apache-2.0
//! `Io`: over what bytes come and go, as asked for and as the kernel lets us.

use super::driver::Driver;
use std::rc::Rc;

/// Over what bytes come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// io_uring where the kernel has what is needed and lets us, else epoll. Containers often forbid it.
    #[default]
    Uring,
    Epoll,
}

impl Io {
    /// What is to be had of it: looks once, so that all threads are alike, and says it in the log.
    pub(crate) fn granted(self) -> Io {
        match (self, Driver::look()) {
            (Io::Epoll, _) => tracing::info!(io = "epoll", "as was asked for"),
            (Io::Uring, Ok(())) => {
                tracing::info!(io = "io_uring", "sockets");
                return Io::Uring;
            }
            (Io::Uring, Err(error)) => tracing::info!(io = "epoll", %error, "io_uring is not to be had"),
        }
        Io::Epoll
    }

    /// Makes the sockets of this thread so. One that cannot goes on as before.
    pub(crate) fn begin(self) -> Option<Rc<Driver>> {
        if self == Io::Epoll {
            return None;
        }
        let begun = Driver::begin();
        if let Err(error) = &begun {
            tracing::warn!(%error, "one thread is without io_uring");
        }
        begun.ok()
    }
}
