// SPDX-License-Identifier: Apache-2.0
//! The proxy on real sockets: a real table over the real control socket, small real servers behind it.

mod control;
mod drain;
mod forward;
mod handover;
mod harness;
mod record;
mod restart;
mod retry;
mod site;
mod stream;
mod swap;
