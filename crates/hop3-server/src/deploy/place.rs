// SPDX-License-Identifier: Apache-2.0
//! `Places`: where the directories of one artifact lie, and what the placeholders of its plan stand for.

use hop3_core::layout::Layout;
use hop3_core::name::AppName;
use hop3_core::release::FoundToolchain;
use hop3_core::sandbox::Mount;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Directories searched for programs after the toolchains'.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) struct Places {
    /// The app's directory.
    pub tree: PathBuf,
    pub data: PathBuf,
    pub home: PathBuf,
    pub layers: BTreeMap<String, PathBuf>,
    /// Only while building.
    pub caches: BTreeMap<String, PathBuf>,
    pub toolchains: BTreeMap<String, FoundToolchain>,
}

impl Places {
    pub(super) fn new(layout: &Layout, app: &AppName, artifact: &str) -> Places {
        Places {
            tree: layout.artifact(artifact).join("tree"),
            data: layout.data(app),
            home: layout.home(app),
            layers: BTreeMap::new(),
            caches: BTreeMap::new(),
            toolchains: BTreeMap::new(),
        }
    }

    /// Replaces the placeholders of a plan (see `hop3_core::plan`).
    pub(super) fn fill(&self, text: &str) -> String {
        let mut out = text.replace("{app}", &shown(&self.tree)).replace("{data}", &shown(&self.data));
        let named = |kind: &str, name: &str| format!("{{{kind}:{name}}}");
        for (name, path) in &self.layers {
            out = out.replace(&named("layer", name), &shown(path));
        }
        for (name, path) in &self.caches {
            out = out.replace(&named("cache", name), &shown(path));
        }
        for (name, found) in &self.toolchains {
            out = out.replace(&named("toolchain", name), &shown(&found.prefix));
        }
        out
    }

    /// The plan's environment, filled in, with `PATH` completed and `HOME` set.
    pub(super) fn environment(&self, plan: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut env: BTreeMap<String, String> = plan
            .iter()
            .map(|(key, value)| (key.clone(), self.fill(value)))
            .filter(|(_, value)| !value.contains("{cache:"))
            .collect();
        let front = env.remove("PATH").filter(|p| !p.is_empty());
        let tools = self.toolchains.values().map(|t| shown(&t.prefix.join("bin")));
        let system = SYSTEM_PATH.to_owned();
        let path: Vec<String> = front.into_iter().chain(tools).chain([system]).collect();
        env.insert("PATH".into(), path.join(":"));
        env.insert("HOME".into(), shown(&self.home));
        env.insert("LANG".into(), "C.UTF-8".into());
        env
    }

    /// What a running process sees beneath the hidden root, and toolchains that lie where its user could not go.
    pub(super) fn run_mounts(&self) -> Vec<Mount> {
        let mut mounts = vec![mount(&self.tree, false), mount(&self.data, true)];
        mounts.extend(self.layers.values().map(|path| mount(path, false)));
        mounts.extend(self.shared_mounts());
        mounts
    }

    /// What a build sees: its own tree, layers and caches to write, and not the data of the running app.
    pub(super) fn build_mounts(&self) -> Vec<Mount> {
        let mut mounts = vec![mount(&self.tree, true)];
        // Layers come one after the other: those that are not made yet cannot be shown.
        let made = self.layers.values().filter(|path| path.exists());
        mounts.extend(made.chain(self.caches.values()).map(|path| mount(path, true)));
        mounts.extend(self.shared_mounts());
        mounts
    }

    fn shared_mounts(&self) -> impl Iterator<Item = Mount> {
        let far = self.toolchains.values().filter(|t| !t.prefix.starts_with("/usr"));
        far.map(|t| mount(&t.prefix, false)).chain([mount(&self.home, true)])
    }
}

fn mount(path: &Path, writable: bool) -> Mount {
    Mount { source: path.to_owned(), target: path.to_owned(), writable }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
