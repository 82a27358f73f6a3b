// SPDX-License-Identifier: Apache-2.0
//! Words and contracts of Hop3: the vocabulary, the files people write, the driver traits.
//!
//! No sockets, SQL, processes or async here: everything is data, or a function from data to data.
//!
//! Glossary (nobody invents a synonym): *app* · *source*: a commit or an uploaded tree · *plan*: what the builder
//! would do, as data · *artifact*: what was built · *release*: artifact + config + process table, numbered,
//! immutable · *process*: a line of the Procfile · *instance*: one running copy of a process · *workload*: what a
//! runtime is asked to run · *route*: host and path to instances · *addon*: a managed backing service · *binding*: an
//! addon attached to an app as config · *driver*: one implementation of an extension point · *step*: a stage of a deployment · *event*: something that happened · *problem*: an error told to a user.
//!
//! Reading order: `name`, `problem`, `plan`, `policy`, `settings`, `release`, `workload`, `route`, `driver`, `api`.

pub mod acme;
pub mod addon;
pub mod api;
pub mod backup;
pub mod certificate;
pub mod config;
pub mod cron;
pub mod descriptor;
pub mod driver;
pub mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod layout;
pub mod lock;
pub mod name;
pub mod observe;
pub mod plan;
pub mod plugin;
pub mod policy;
pub mod problem;
pub mod release;
pub mod route;
pub mod sandbox;
pub mod secret;
pub mod settings;
pub mod sleep;
pub mod source;
pub mod tcp;
pub mod waf;
pub mod workload;

pub use problem::{Kind, Problem};
