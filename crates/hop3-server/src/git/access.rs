// SPDX-License-Identifier: Apache-2.0
//! What the doors ask of the control plane: may this token do that to this app, and where is its repository.

use super::{HookEnv, Repository};
use hop3_core::Problem;
use hop3_core::name::AppName;
use hop3_core::secret::Secret;
use std::path::Path;

/// What git's client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Push.
    ReceivePack,
    /// Clone and fetch.
    UploadPack,
}

impl Service {
    pub fn parse(name: &str) -> Option<Service> {
        match name {
            "git-receive-pack" => Some(Service::ReceivePack),
            "git-upload-pack" => Some(Service::UploadPack),
            _ => None,
        }
    }

    /// The repository it works on: made for a push, never for a fetch.
    pub fn repository(self, path: &Path) -> Result<Repository, Problem> {
        match self {
            Service::ReceivePack => Repository::create(path),
            Service::UploadPack => Repository::open(path),
        }
    }

    /// As git names it, in URLs and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Service::ReceivePack => "git-receive-pack",
            Service::UploadPack => "git-upload-pack",
        }
    }
}

/// What an admitted client works on.
pub struct Admitted {
    pub repository: Repository,
    pub hook: HookEnv,
}

/// Why a client is not admitted.
pub enum Refusal {
    /// No token, or one that is not known: the client is asked for another.
    Unauthenticated,
    Problem(Box<Problem>),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal::Problem(Box::new(problem))
    }
}

/// Implemented by the control plane. Called on a thread that may block.
pub trait GitAccess: Clone + Send + Sync + 'static {
    /// Decides whether the holder of `token` may, and hands out the app's repository. For a push it makes an absent
    /// app when the holder may make apps; for a fetch it never makes anything.
    fn admit(
        &self,
        token: Option<&Secret<String>>,
        app: &AppName,
        service: Service,
    ) -> Result<Admitted, Refusal>;
}
