// SPDX-License-Identifier: Apache-2.0
//! `Layout`: where things lie beneath the one root. Nobody joins path strings; everybody asks here.

use crate::name::{AppName, PluginName, ServerName, SnapshotName, VolumeName};
use std::path::{Path, PathBuf};

/// Hands out every path of an installation.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub const DEFAULT_ROOT: &str = "/var/lib/hop3";

    pub fn new(root: impl Into<PathBuf>) -> Layout {
        Layout { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The store.
    pub fn database(&self) -> PathBuf {
        self.root.join("hop3.db")
    }

    /// The key that seals config values at rest, mode 0600.
    pub fn key_file(&self) -> PathBuf {
        self.root.join("secret.key")
    }

    pub fn apps(&self) -> PathBuf {
        self.root.join("apps")
    }

    pub fn app(&self, app: &AppName) -> PathBuf {
        self.apps().join(app.as_str())
    }

    pub fn repository(&self, app: &AppName) -> PathBuf {
        self.app(app).join("repo.git")
    }

    /// The app's persistent directory, writable by it, shared by its releases, never removed by a deployment.
    pub fn data(&self, app: &AppName) -> PathBuf {
        self.app(app).join("data")
    }

    /// The app's own HOME.
    pub fn home(&self, app: &AppName) -> PathBuf {
        self.app(app).join("home")
    }

    /// What the app's builds may keep between builds (download caches, incremental compilers).
    pub fn cache(&self, app: &AppName) -> PathBuf {
        self.root.join("cache").join(app.as_str())
    }

    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// One built tree, read-only once it is part of a release.
    pub fn artifact(&self, id: &str) -> PathBuf {
        self.artifacts().join(id)
    }

    pub fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// Dependencies, named by the digest of what they were made from.
    pub fn layer(&self, digest: &str) -> PathBuf {
        self.layers().join(digest)
    }

    /// Language toolchains obtained by Hop3.
    pub fn toolchains(&self) -> PathBuf {
        self.root.join("toolchains")
    }

    pub fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// A plugin that is being installed. No plugin has a name that begins so.
    pub fn plugin_incoming(&self) -> PathBuf {
        self.plugins().join("@incoming")
    }

    /// Sources that a plugin is judged by.
    pub fn plugin_check(&self) -> PathBuf {
        self.plugins().join("@check")
    }

    /// All of one plugin.
    pub fn plugin(&self, plugin: &PluginName) -> PathBuf {
        self.plugins().join(plugin.as_str())
    }

    /// What was installed; the plugin reads it.
    pub fn plugin_files(&self, plugin: &PluginName) -> PathBuf {
        self.plugin(plugin).join("files")
    }

    /// What it wrote to stderr.
    pub fn plugin_log(&self, plugin: &PluginName) -> PathBuf {
        self.logs().join(format!("plugin.{plugin}"))
    }

    /// What the plugin may write: its home.
    pub fn plugin_data(&self, plugin: &PluginName) -> PathBuf {
        self.plugin(plugin).join("data")
    }

    /// Certificates with their keys; the proxy's alone.
    pub fn certificates(&self) -> PathBuf {
        self.root.join("certs")
    }

    /// Chain, key and origin of the certificate kept for a host name.
    pub fn certificate(&self, name: &str) -> PathBuf {
        // `*` in a file name is a trap for whoever looks after the machine.
        self.certificates().join(name.replacen('*', "_", 1))
    }

    /// The authority that signs what no public one does.
    pub fn internal_ca(&self) -> PathBuf {
        self.certificates().join("internal")
    }

    /// Whom certificates are obtained from, and how; mode 0600.
    pub fn acme_settings(&self) -> PathBuf {
        self.certificates().join("acme.json")
    }

    /// The account at an authority, by the digest of its directory's address.
    pub fn acme_account(&self, digest: &str) -> PathBuf {
        self.certificates().join("acme").join("accounts").join(format!("{digest}.json"))
    }

    /// What is under way for a host name: its order, that order's key, what went wrong last.
    pub fn acme_progress(&self, name: &str) -> PathBuf {
        let file = format!("{}.json", name.replacen('*', "_", 1));
        self.certificates().join("acme").join("names").join(file)
    }

    /// What the servers of addons have.
    pub fn addons(&self) -> PathBuf {
        self.root.join("addons")
    }

    /// What one server has; its process's alone.
    pub fn addon_server(&self, server: &ServerName) -> PathBuf {
        self.addons().join(server.as_str())
    }

    pub fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    /// Where backups go unless another target is named.
    pub fn backup_repository(&self) -> PathBuf {
        self.backups().join("repository")
    }

    /// What the user of backups has: keys for `sftp`, and a cache beneath it.
    pub fn backup_home(&self) -> PathBuf {
        self.backups().join("home")
    }

    /// Where what is restored lies until it is put in its place; nothing in it outlives the server.
    pub fn backup_stagings(&self) -> PathBuf {
        self.backups().join("staging")
    }

    pub fn backup_staging(&self, name: &str) -> PathBuf {
        self.backup_stagings().join(name)
    }

    /// A consistent copy of the store, made for a backup of the server.
    pub fn backup_database(&self) -> PathBuf {
        self.backups().join("server").join("hop3.db")
    }

    /// What one snapshot of a volume has.
    pub fn volume_snapshot(&self, volume: &VolumeName, snapshot: &SnapshotName) -> PathBuf {
        self.volume_snapshots(volume).join(snapshot.as_str())
    }

    pub fn volume_snapshots(&self, volume: &VolumeName) -> PathBuf {
        self.volume(volume).join("snapshots")
    }

    /// What one volume has.
    pub fn volume(&self, volume: &VolumeName) -> PathBuf {
        self.root.join("volumes").join(volume.as_str())
    }

    /// What apps see of it. Beside it lies what is being read in.
    pub fn volume_data(&self, volume: &VolumeName) -> PathBuf {
        self.volume(volume).join("data")
    }

    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The proxy's record of requests: one JSON object a line. No app's log has a name that begins so.
    pub fn request_log(&self) -> PathBuf {
        self.logs().join("@proxy").join("requests.jsonl")
    }

    /// Sockets, locks and what a role needs to find its predecessor's work.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub fn run_of(&self, role: &str) -> PathBuf {
        self.run().join(role)
    }

    /// Held by the one process that is this role.
    pub fn lock_of(&self, role: &str) -> PathBuf {
        self.run_of(role).join("lock")
    }

    /// Local administration: whoever may connect (SO_PEERCRED) is admin.
    pub fn api_socket(&self) -> PathBuf {
        self.run_of("server").join("api.sock")
    }

    /// What sshd reads for the user that pushes come in as (`AuthorizedKeysFile`).
    pub fn authorized_keys(&self) -> PathBuf {
        self.root.join("authorized_keys")
    }

    /// Where the proxy hands over requests for the server's own host name; tokens are required there.
    pub fn http_socket(&self) -> PathBuf {
        self.run_of("server").join("http.sock")
    }

    /// Where the proxy says which service it has requests for while its upstreams are away.
    pub fn wake_socket(&self) -> PathBuf {
        self.run_of("server").join("wake.sock")
    }

    pub fn proxy_socket(&self) -> PathBuf {
        self.run_of("proxy").join("control.sock")
    }

    /// The proxy's last table.
    pub fn proxy_table(&self) -> PathBuf {
        self.run_of("proxy").join("table.json")
    }

    /// Which program accepts connections.
    pub fn front_choice(&self) -> PathBuf {
        self.root.join("front.json")
    }

    /// What the program has that accepts in the proxy's place: its configuration, its pid.
    pub fn front(&self) -> PathBuf {
        self.run_of("proxy").join("front")
    }

    /// Where that program passes on what it does not do itself; it and the proxy alone may connect.
    pub fn behind_socket(&self) -> PathBuf {
        self.run_of("proxy").join("behind.sock")
    }

    /// Certificates with their keys, for that program; mode 0700.
    pub fn handed_certificates(&self) -> PathBuf {
        self.run_of("proxy").join("certs")
    }

    /// Chain and key for a host name in one file; mode 0600.
    pub fn handed_certificate(&self, name: &str) -> PathBuf {
        self.handed_certificates().join(format!("{}.pem", name.replacen('*', "_", 1)))
    }

    /// Where the request filter is asked.
    pub fn waf_socket(&self) -> PathBuf {
        self.run_of("waf").join("ask.sock")
    }

    pub fn supervisor_socket(&self) -> PathBuf {
        self.run_of("supervisor").join("control.sock")
    }

    /// What the supervisor must remember to adopt running processes.
    pub fn supervisor_state(&self) -> PathBuf {
        self.run_of("supervisor").join("state")
    }
}
