// SPDX-License-Identifier: Apache-2.0
//! `backup restore --path`: one file or directory of an app's data, put back beside the others while the app runs.
//!
//! The app's own user does it, in a sandbox that shows nothing but both places: a link in the data leads nowhere else.

use super::super::manifest::SavedApp;
use super::{Work, say};
use crate::verb::run::Lines;
use hop3_core::driver::Exit;
use hop3_core::name::AppName;
use hop3_core::problem::{Kind, Problem};
use hop3_core::sandbox::{Command, Job, Limits, Mount, Sandbox};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);

impl Work<'_> {
    pub(super) fn file(&self, saved: &SavedApp, into: &AppName, path: &Path) -> Result<(), Problem> {
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        if path.as_os_str().is_empty() || !is_plain {
            let title = format!("\"{}\" is no path within the app's data", path.display());
            return Err(Problem::new(Kind::User, "backup.bad-path", title)
                .hint("name it as it lies beneath HOP3_DATA_DIR, without a slash in front"));
        }
        let app = self.server.app(into)?;
        let data = PathBuf::from("apps").join(saved.name.as_str()).join("data");
        self.fetch(&[data.join(path)])?;
        let staged = self.staging.join(data);
        if staged.join(path).symlink_metadata().is_err() {
            let title = format!("the backup has no \"{}\"", path.display());
            return Err(Problem::new(Kind::NotFound, "backup.no-file", title)
                .hint("it is looked for beneath the app's data directory"));
        }
        self.give(&staged, app.uid())?;
        say(self.tell, format!("putting back {}", path.display()));
        let mut lines = Lines::default();
        let job = self.copy(&staged, path, app.uid(), into);
        match self.server.drivers.runner.run(&job, DEADLINE, &mut lines)? {
            Exit::Status(0) => Ok(()),
            exit => {
                Err(Problem::new(Kind::Unavailable, "backup.not-put-back", "the file could not be put back")
                    .detail(format!("cp ended with: {exit}\n{}", lines.0.join("\n")).trim_end()))
            }
        }
    }

    fn copy(&self, staged: &Path, path: &Path, user: u32, app: &AppName) -> Job {
        let layout = &self.server.layout;
        let (data, home) = (layout.data(app), layout.home(app));
        let (from, to) = (path.to_string_lossy(), data.to_string_lossy());
        let mount =
            |path: &Path, writable| Mount { source: path.to_owned(), target: path.to_owned(), writable };
        let sandbox = Sandbox {
            user: self.server.drivers.runner.is_privileged().then_some(user),
            user_name: app.to_string(),
            home: home.clone(),
            hide: vec![layout.root().to_owned()],
            mounts: vec![mount(staged, false), mount(&data, true), mount(&home, true)],
            ..Sandbox::default()
        };
        Job {
            command: Command::exec(["cp", "-a", "--remove-destination", "--parents", "--", &from, &to]),
            cwd: staged.to_owned(),
            env: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
            sandbox,
            limits: Limits::default(),
        }
    }
}
