// SPDX-License-Identifier: Apache-2.0
//! The proxy on real sockets: a real table over the real control socket, small real servers behind it.

mod acme;
mod control;
pub(crate) mod corpus;
mod drain;
mod forward;
mod h2c;
mod h2spec;
mod handover;
mod harness;
mod http2;
mod http2_memory;
mod http2_websocket;
mod http3;
mod http3_dial;
mod http3_frame;
mod http3_tunnel;
mod http3_websocket;
mod policy;
mod policy_answer;
mod policy_cache;
mod policy_waf;
mod product;
mod proxy_protocol;
mod record;
mod restart;
mod retry;
mod site;
mod smuggle;
mod stream;
mod swap;
mod tcp;
mod tls;
mod tls_certificates;
mod tls_clients;
mod wake;
