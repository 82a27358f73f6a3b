// SPDX-License-Identifier: Apache-2.0
//! The authorities that the built-in proxy asks for certificates.

use super::{ANSWER_TIMEOUT, Builtin, unexpected};
use hop3_core::Problem;
use hop3_core::acme::{AcmeChange, AcmeShown};
use hop3_core::driver::Authorities;
use hop3_proxy::cert::acme::Ask;
use hop3_proxy::control::{Answer, Request};

impl Builtin {
    fn ask_keeper(&self, ask: Ask) -> Result<AcmeShown, Problem> {
        match self.ask(&Request::Acme(ask), ANSWER_TIMEOUT)? {
            Answer::Acme(shown) => Ok(shown),
            other => Err(unexpected(other)),
        }
    }
}

impl Authorities for Builtin {
    fn shown(&self) -> Result<AcmeShown, Problem> {
        self.ask_keeper(Ask::Show)
    }

    fn change(&self, change: &AcmeChange) -> Result<AcmeShown, Problem> {
        self.ask_keeper(Ask::Set(Box::new(change.clone())))
    }

    fn renew(&self, host: &str) -> Result<(), Problem> {
        self.ask_keeper(Ask::Renew { name: host.to_owned() }).map(|_| ())
    }
}
