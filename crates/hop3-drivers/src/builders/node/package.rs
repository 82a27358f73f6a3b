// SPDX-License-Identifier: Apache-2.0
//! `package.json`, as far as a plan needs it. Keys nobody here knows are passed over: the file belongs to npm.

use hop3_core::problem::Span;
use hop3_core::source::SourceTree;
use hop3_core::{Kind, Problem};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Package {
    pub scripts: BTreeMap<String, String>,
    pub dependencies: BTreeMap<String, String>,
    pub dev_dependencies: BTreeMap<String, String>,
    pub engines: Engines,
    /// `pnpm@9.1.0+sha256.…`
    pub package_manager: Option<String>,
    pub main: Option<String>,
    pub workspaces: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Engines {
    pub node: Option<String>,
}

impl Package {
    pub(super) fn read(source: &SourceTree) -> Result<Package, Problem> {
        let text = source.read("package.json")?.unwrap_or_else(|| "{}".into());
        serde_json::from_str(&text).map_err(|e| {
            let before: usize =
                text.split_inclusive('\n').take(e.line().saturating_sub(1)).map(str::len).sum();
            let message = e.to_string();
            Problem::new(Kind::Config, "node.bad-package-json", "package.json cannot be read")
                .detail(message.split(" at line ").next().unwrap_or_default())
                .span(Span::at("package.json", &text, before + e.column().saturating_sub(1)))
        })
    }

    /// Tells whether a package is asked for, also for the build alone.
    pub(super) fn uses(&self, name: &str) -> bool {
        self.dependencies.contains_key(name) || self.dev_dependencies.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.dependencies.keys().chain(self.dev_dependencies.keys())
    }

    pub(super) fn build_script(&self) -> Option<&'static str> {
        ["heroku-postbuild", "build"].into_iter().find(|name| self.scripts.contains_key(*name))
    }

    /// The script that runs when dependencies are installed and may need the app's own files.
    pub(super) fn install_script(&self) -> Option<&'static str> {
        let names = ["preinstall", "install", "postinstall", "prepare"];
        names.into_iter().find(|name| self.scripts.contains_key(*name))
    }

    /// The tool and version of `packageManager`, its hash left out.
    pub(super) fn manager(&self) -> Option<(&str, &str)> {
        let (name, version) = self.package_manager.as_deref()?.split_once('@')?;
        Some((name, version.split('+').next().unwrap_or(version)))
    }
}
