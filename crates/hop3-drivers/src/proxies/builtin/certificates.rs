// SPDX-License-Identifier: Apache-2.0
//! The certificates that the built-in proxy keeps, asked for over its control socket.

use super::{ANSWER_TIMEOUT, Builtin, unexpected};
use hop3_core::Problem;
use hop3_core::certificate::{AddCertificateRequest, CertificateInfo};
use hop3_core::driver::Certificates;
use hop3_proxy::cert::Ask;
use hop3_proxy::control::{Answer, Request};

impl Builtin {
    fn ask_desk(&self, ask: Ask) -> Result<Answer, Problem> {
        self.ask(&Request::Certificates(ask), ANSWER_TIMEOUT)
    }

    fn ask_list(&self, ask: Ask) -> Result<Vec<CertificateInfo>, Problem> {
        match self.ask_desk(ask)? {
            Answer::Certificates(certificates) => Ok(certificates),
            other => Err(unexpected(other)),
        }
    }

    fn ask_done(&self, ask: Ask) -> Result<(), Problem> {
        match self.ask_desk(ask)? {
            Answer::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Has the certificates of these hosts handed over as files, and tells whether any has changed.
    pub(crate) fn hand(&self, hosts: Vec<String>) -> Result<bool, Problem> {
        match self.ask_desk(Ask::Hand { hosts })? {
            Answer::Handed(is_changed) => Ok(is_changed),
            other => Err(unexpected(other)),
        }
    }
}

impl Certificates for Builtin {
    fn list(&self) -> Result<Vec<CertificateInfo>, Problem> {
        self.ask_list(Ask::List)
    }

    fn info(&self, host: &str) -> Result<CertificateInfo, Problem> {
        let mut found = self.ask_list(Ask::Info { host: host.to_owned() })?;
        found.pop().ok_or_else(|| unexpected(Answer::Done))
    }

    fn add(&self, request: &AddCertificateRequest) -> Result<Vec<CertificateInfo>, Problem> {
        self.ask_list(Ask::Add(request.clone()))
    }

    fn remove(&self, name: &str) -> Result<(), Problem> {
        self.ask_done(Ask::Remove { name: name.to_owned() })
    }

    fn renew(&self, name: &str) -> Result<(), Problem> {
        self.ask_done(Ask::Renew { name: name.to_owned() })
    }

    fn check_client_ca(&self, pem: &str) -> Result<(), Problem> {
        hop3_proxy::cert::check_client_ca(pem)
    }

    fn ca(&self) -> Result<String, Problem> {
        match self.ask_desk(Ask::Ca)? {
            Answer::Authority(pem) => Ok(pem),
            other => Err(unexpected(other)),
        }
    }
}
