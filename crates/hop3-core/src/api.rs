// SPDX-License-Identifier: Apache-2.0
//! Requests and answers of the API, shared by the server, the CLI and the OpenAPI document.
//!
//! A verb has one address: the command `scale`, the route `POST /api/apps/{app}/scale` and `ScaleRequest`.
//! Times are Unix milliseconds.

mod addon;
mod storage;

pub use addon::*;
pub use storage::*;

use crate::driver::ProxyChosen;
use crate::event::EventRow;
use crate::name::{AppName, DomainPath, EnvKey, ProcessName};
use crate::observe::RouteFigures;
use crate::release::ReleaseNumber;
use crate::sleep::{Range, SleepTimes};
use crate::workload::Instance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `POST /api/apps`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAppRequest {
    pub name: AppName,
}

/// `POST /api/apps/{app}/rename`, `POST /api/apps/{app}/clone`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNameRequest {
    pub name: AppName,
}

/// What an app is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AppState {
    /// Created, nothing deployed yet.
    New,
    Running,
    /// Stopped on purpose.
    Stopped,
    /// Nobody asks; the first request wakes it.
    Sleeping,
    /// Wanted running, but no instance serves.
    Down,
}

/// `GET /api/apps`, one element.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AppSummary {
    pub name: AppName,
    pub state: AppState,
    pub release: Option<ReleaseNumber>,
    pub url: String,
    pub created_ms: u64,
}

/// `GET /api/apps/{app}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AppInfo {
    pub name: AppName,
    pub state: AppState,
    pub release: Option<ReleaseNumber>,
    pub url: String,
    pub git_url: String,
    pub deploy_branch: String,
    pub domains: Vec<DomainPath>,
    /// Where its processes are reached without HTTP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<TcpPlace>,
    /// Wanted instances per process.
    pub scale: BTreeMap<ProcessName, u32>,
    /// The least and the most instances, where they differ; a least of 0 sleeps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ranges: BTreeMap<ProcessName, Range>,
    pub instances: Vec<Instance>,
    pub created_ms: u64,
}

/// A place at which a process is reached without HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpPlace {
    pub process: ProcessName,
    /// `shop.example.org:5432`
    pub address: String,
    /// The process ends TLS itself, and must be asked for by this very name.
    pub tls: bool,
    /// Instances are told who connects.
    pub proxy_protocol: bool,
    /// Why nobody gets through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}

/// `DELETE /api/apps/{app}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestroyAppRequest {
    /// The app's name, typed again.
    pub confirm: String,
}

/// `POST /api/apps/{app}/scale`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleRequest {
    #[serde(default)]
    pub processes: BTreeMap<ProcessName, u32>,
    /// Only `web` may have a least and a most that differ.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ranges: BTreeMap<ProcessName, Range>,
    /// When it sleeps; what is absent stays as it is.
    #[serde(default, skip_serializing_if = "SleepTimes::is_unsaid")]
    pub sleep: SleepTimes,
}

/// `PUT /api/apps/{app}/branch`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BranchRequest {
    pub branch: String,
}

/// `PATCH /api/apps/{app}/config`: sets and unsets in one change, which makes one release.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigChangeRequest {
    #[serde(default)]
    pub set: BTreeMap<EnvKey, String>,
    #[serde(default)]
    pub unset: Vec<EnvKey>,
    /// Keep it for the next release; do not restart now.
    #[serde(default)]
    pub no_restart: bool,
}

/// `GET /api/apps/{app}/config[?show=true]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ConfigList {
    /// Values are `null` unless shown on request.
    pub variables: BTreeMap<EnvKey, Option<String>>,
}

/// Who said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PolicySource {
    /// `[proxy]` of the release's `hop3.toml`, with the defaults of the tables it has.
    File,
    /// Nobody: it comes with a table that was set.
    Default,
    /// `hop3 proxy set`.
    Set,
}

/// `GET /api/apps/{app}/proxy`, one element
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyEntry {
    /// Dots between tables.
    pub key: String,
    pub value: serde_json::Value,
    pub from: PolicySource,
}

/// `PATCH /api/apps/{app}/proxy`: counts at once, without a release.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyChangeRequest {
    /// Passwords in `basic-auth.users` are hashed before they are stored.
    #[serde(default)]
    pub set: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub unset: Vec<String>,
}

/// Answer of every change that made a release.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseMade {
    /// `null` when there was nothing to release yet, or the change waits for the next one.
    pub release: Option<ReleaseNumber>,
}

/// `GET /api/apps/{app}/releases`, one element; `GET /api/apps/{app}/releases/{number}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseInfo {
    pub number: ReleaseNumber,
    /// It serves now.
    pub current: bool,
    /// `Deploy 1a2b3c4`, `Set KEY`, `Rollback to v3`.
    pub reason: String,
    pub builder: String,
    pub source: String,
    pub processes: BTreeMap<ProcessName, String>,
    pub config_keys: Vec<EnvKey>,
    pub created_ms: u64,
}

/// `POST /api/apps/{app}/rollback`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The release before the current one when absent.
    #[serde(default)]
    pub to: Option<ReleaseNumber>,
}

/// `POST /api/apps/{app}/domains`, `DELETE /api/apps/{app}/domains/{domain}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainRequest {
    /// `example.org`, or `example.org/api` for what lies beneath that path.
    pub domain: DomainPath,
}

/// `POST /api/apps/{app}/ps`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PsRequest {
    pub action: PsAction,
    /// One instance (`web.v3.1`); all when absent. Only for restart.
    #[serde(default)]
    pub instance: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PsAction {
    Stop,
    /// Starts what was stopped, wakes what sleeps.
    Start,
    Restart,
    /// Stops the web process until the next request.
    Sleep,
    /// Freezes the web process until the next request.
    Freeze,
}

/// Query of `POST /api/apps/{app}/deployments` (body: a tar of the tree). The answer is a stream of server-sent
/// events, each the JSON of an `EventRow`; the last is `deployment-succeeded` or `deployment-failed`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployQuery {
    /// What is deployed, for people: a commit id, `upload`.
    #[serde(default)]
    pub source: Option<String>,
    /// Make the app when it is absent.
    #[serde(default)]
    pub create: bool,
    /// The branch that was pushed; becomes the deploy branch of an app that never had a release.
    #[serde(default)]
    pub branch: Option<String>,
}

/// `POST /api/apps/{app}/deployments/git`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployGitRequest {
    pub url: String,
    #[serde(default, rename = "ref")]
    pub reference: Option<String>,
}

/// `GET /api/apps/{app}/deployments`, one element.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentInfo {
    pub id: i64,
    pub state: DeploymentState,
    pub source: String,
    pub release: Option<ReleaseNumber>,
    pub started_ms: u64,
    pub finished_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Interrupted,
}

/// Query of `GET /api/apps/{app}/logs`. With `follow` the answer is a stream of server-sent events, each the JSON
/// of a `LogEntry`; without, an array.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogsQuery {
    #[serde(default)]
    pub n: Option<usize>,
    #[serde(default)]
    pub process: Option<ProcessName>,
    #[serde(default)]
    pub since_ms: Option<u64>,
    /// Only the output of the last build.
    #[serde(default)]
    pub build: bool,
    /// Only requests that the proxy noted.
    #[serde(default)]
    pub requests: bool,
    #[serde(default)]
    pub follow: bool,
}

/// `GET /api/proxy`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProxyReport {
    /// Which proxy accepts the connections.
    pub chosen: ProxyChosen,
    pub services: u64,
    pub requests: u64,
    pub in_flight: u64,
    /// Upstreams left out now, by id.
    pub unhealthy: Vec<String>,
    pub routes: Vec<RouteFigures>,
}

/// `PUT /api/proxy`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChooseProxyRequest {
    /// `built-in`, `nginx`, `haproxy`, `traefik`, `caddy`.
    pub driver: String,
}

/// One line of the merged log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogEntry {
    pub time_ms: u64,
    pub origin: LogOrigin,
    /// `web.v3.1`, `build`, `hop3`.
    pub source: String,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogOrigin {
    App,
    Build,
    Platform,
}

/// First text message of the WebSocket `GET /api/apps/{app}/run`. Then: binary messages are the terminal's bytes
/// both ways, text messages from the client are `RunControl`, and the server ends with a text `RunEnded`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Empty with `shell`.
    pub argv: Vec<String>,
    /// Rows and columns; a pipe instead of a terminal when absent.
    #[serde(default)]
    pub terminal: Option<(u16, u16)>,
    /// Run inside that instance's environment (`hop3 exec`), with its PORT and process name.
    #[serde(default)]
    pub instance: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunControl {
    Resize(u16, u16),
    /// End of input.
    Eof,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunEnded {
    /// As a shell gives it: 128 + signal number for a signal.
    pub status: u8,
}

/// `POST /api/apps/{app}/run`: detached; the output goes to the app's log under the returned name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    pub name: String,
}

/// `POST /api/tokens`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTokenRequest {
    pub name: String,
    /// Only this app; every app and creating apps when absent.
    #[serde(default)]
    pub app: Option<AppName>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenCreated {
    pub name: String,
    /// Shown this once.
    pub token: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenInfo {
    pub name: String,
    pub app: Option<AppName>,
    pub created_ms: u64,
}

/// `POST /api/keys`: an SSH public key that may push.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddKeyRequest {
    pub name: String,
    /// One line of an OpenSSH public key file.
    pub public_key: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyInfo {
    pub name: String,
    /// `SHA256:…`
    pub fingerprint: String,
    pub created_ms: u64,
}

/// `GET /api/server`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServerInfo {
    pub version: String,
    pub domain: String,
    pub url: String,
    pub apps: u64,
    pub checks: Vec<Check>,
}

/// One line of `hop3 doctor`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    pub name: String,
    pub verdict: Verdict,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// Works with less: said what.
    Reduced,
    Missing,
}

/// `GET /api/apps/{app}/events[?after=ID&follow=true]`
pub type Events = Vec<EventRow>;
