// SPDX-License-Identifier: Apache-2.0
//! The pre-receive hook: what a push means, and the pushed tree as a tar stream.
//!
//! Invariant: `pre_receive` is a function of the ref updates and of what the app deploys; the exit status of the
//! hook decides the push, and the objects it reads are still in quarantine.

use super::Repository;
use super::repository::git_missing;
use super::shown::shown;
use super::tree_size;
use hop3_core::name::AppName;
use hop3_core::{Kind, Problem};
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// A push of more refs than this tells of the first ones only.
const MAX_NOTES: usize = 10;
const MAX_UPDATES_BYTES: u64 = 16 << 20;

/// What the app deploys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployTarget {
    pub branch: String,
    /// The app has been deployed at least once, or the branch was chosen.
    pub settled: bool,
}

/// What the server tells the hook, by variables of its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookEnv {
    /// The `hop3` program.
    pub program: PathBuf,
    pub root: PathBuf,
    pub app: AppName,
    pub target: DeployTarget,
    /// Who pushes, for the record: the name of a token or key.
    pub by: String,
}

impl HookEnv {
    pub fn variables(&self) -> [(&'static str, OsString); 6] {
        [
            ("HOP3_PROGRAM", self.program.clone().into()),
            ("HOP3_ROOT", self.root.clone().into()),
            ("HOP3_APP", self.app.as_str().into()),
            ("HOP3_DEPLOY_BRANCH", self.target.branch.clone().into()),
            ("HOP3_DEPLOY_SETTLED", if self.target.settled { "1" } else { "0" }.into()),
            ("HOP3_PUSHED_BY", self.by.clone().into()),
        ]
    }

    /// The same, read back in the hook; `lookup` is `std::env::var_os`.
    pub fn from_variables(lookup: impl Fn(&str) -> Option<OsString>) -> Result<HookEnv, Problem> {
        let missing = |name: &str| {
            Problem::new(
                Kind::User,
                "git.not-by-hop3",
                format!("{name} is not set: git was not started by Hop3"),
            )
            .hint("push to the app's address, see: hop3 app info")
        };
        let get = |name: &str| lookup(name).ok_or_else(|| missing(name));
        let text = |name: &str| get(name)?.into_string().map_err(|_| missing(name));
        Ok(HookEnv {
            program: get("HOP3_PROGRAM")?.into(),
            root: get("HOP3_ROOT")?.into(),
            app: text("HOP3_APP")?.parse()?,
            target: DeployTarget {
                branch: text("HOP3_DEPLOY_BRANCH")?,
                settled: text("HOP3_DEPLOY_SETTLED")? == "1",
            },
            by: text("HOP3_PUSHED_BY")?,
        })
    }
}

/// A commit to deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy {
    pub commit: String,
    /// Where the pusher believes the branch to be; all zeros when it is new.
    pub old: String,
    /// When it is not the target's, it becomes the app's deploy branch.
    pub branch: String,
}

/// What to do about a push that is not refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub deploy: Option<Deploy>,
    /// Lines for the pusher's terminal.
    pub notes: Vec<String>,
}

struct Update<'a> {
    old: &'a str,
    new: &'a str,
    reference: &'a str,
}

impl Update<'_> {
    fn deletes(&self) -> bool {
        self.new.bytes().all(|b| b == b'0')
    }
}

/// Reads git's lines `OLD NEW REF` and decides.
pub fn pre_receive(stdin: impl Read, target: &DeployTarget) -> Result<Decision, Problem> {
    let mut text = String::new();
    stdin.take(MAX_UPDATES_BYTES).read_to_string(&mut text).map_err(|e| malformed(&e.to_string()))?;
    let updates = text.lines().map(parse_update).collect::<Result<Vec<_>, _>>()?;
    let branch = deploy_branch(&updates, target);
    let mut decision = Decision::default();
    let mut others = Vec::new();
    for update in &updates {
        match update.reference.strip_prefix("refs/heads/") {
            Some(pushed) if pushed == branch && update.deletes() => {
                return Err(deletes_deploy_branch(branch));
            }
            Some(pushed) if pushed == branch => {
                decision.deploy = Some(Deploy {
                    commit: update.new.to_owned(),
                    old: update.old.to_owned(),
                    branch: branch.to_owned(),
                });
            }
            _ if update.deletes() => {}
            _ => others.push(not_deployed(update.reference, branch)),
        }
    }
    if branch != target.branch {
        decision.notes.push(format!("the first push is of {branch}: it is the deploy branch from now on"));
    }
    // Tags and branches that come along with a deployment need no comment.
    if decision.deploy.is_none() {
        let more = others.len().saturating_sub(MAX_NOTES);
        decision.notes.extend(others.into_iter().take(MAX_NOTES));
        decision.notes.extend((more > 0).then(|| format!("and {more} more")));
    }
    Ok(decision)
}

/// `main` unless chosen; when the very first push is of `master` alone, that is what its author means.
fn deploy_branch<'a>(updates: &[Update<'_>], target: &'a DeployTarget) -> &'a str {
    let pushes = |branch: &str| {
        updates.iter().any(|u| u.reference.strip_prefix("refs/heads/") == Some(branch) && !u.deletes())
    };
    if !target.settled && target.branch == "main" && pushes("master") && !pushes("main") {
        return "master";
    }
    &target.branch
}

fn parse_update(line: &str) -> Result<Update<'_>, Problem> {
    let mut words = line.splitn(3, ' ');
    let (Some(old), Some(new), Some(reference)) = (words.next(), words.next(), words.next()) else {
        return Err(malformed(line));
    };
    let is_id = |id: &str| matches!(id.len(), 40 | 64) && id.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_id(old) || !is_id(new) || !is_ref_name(reference) {
        return Err(malformed(line));
    }
    Ok(Update { old, new, reference })
}

/// git has checked it by `git check-ref-format`; here are the rules of it that keep a terminal and a path safe.
fn is_ref_name(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && !matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    name.starts_with("refs/")
        && !name.ends_with('/')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && name.chars().all(plain)
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

/// Accepts a name for the deploy branch (`hop3 app branch`).
pub fn check_branch(name: &str) -> Result<(), Problem> {
    if name.len() <= 200 && !name.starts_with('-') && is_ref_name(&format!("refs/heads/{name}")) {
        return Ok(());
    }
    let name = shown(name);
    Err(Problem::new(Kind::User, "git.bad-branch", format!("\"{name}\" is not a name for a branch"))
        .hint("name the branch as git does, for example main"))
}

fn not_deployed(reference: &str, branch: &str) -> String {
    let reference = shown(reference);
    match reference.strip_prefix("refs/heads/") {
        Some(name) => format!(
            "pushed to {name}, which is not the deploy branch {branch}: nothing is deployed \
             (git push hop3 {name}:{branch} deploys it; hop3 app branch {name} makes it the deploy branch)"
        ),
        None => {
            format!("pushed to {reference}, which is not the deploy branch {branch}: nothing is deployed")
        }
    }
}

fn deletes_deploy_branch(branch: &str) -> Problem {
    Problem::new(
        Kind::Conflict,
        "git.deletes-deploy-branch",
        format!("{branch} is what the app is deployed from"),
    )
    .hint("to remove the app: hop3 app destroy; to deploy another branch: hop3 app branch")
}

fn malformed(line: &str) -> Problem {
    Problem::new(Kind::User, "git.bad-update", "git told of a change of refs that is not one")
        .detail(shown(line))
}

/// Refuses a push whose branch has moved meanwhile: git would decline it after the hook, when it is deployed already.
pub fn check_unmoved(repository: &Repository, deploy: &Deploy) -> Result<(), Problem> {
    let reference = format!("refs/heads/{}", deploy.branch);
    let found =
        repository.command(["rev-parse", "--verify", "--quiet", &reference]).output().map_err(git_missing)?;
    let found = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    let is_new = deploy.old.bytes().all(|b| b == b'0');
    if found == deploy.old || (found.is_empty() && is_new) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Conflict,
        "git.branch-moved",
        format!("{} was pushed to by somebody else meanwhile", shown(&deploy.branch)),
    )
    .hint("git pull, then push again"))
}

/// Where git keeps the objects of a push that is not accepted yet, as its hook's environment says.
#[derive(Clone, Debug, Default)]
pub struct Quarantine(Vec<(&'static str, OsString)>);

impl Quarantine {
    /// `lookup` is `std::env::var_os`.
    pub fn from_variables(lookup: impl Fn(&str) -> Option<OsString>) -> Quarantine {
        let names = ["GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"];
        Quarantine(names.into_iter().filter_map(|name| Some((name, lookup(name)?))).collect())
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        self.0.iter().cloned()
    }
}

/// Starts writing the tree of a commit as a tar to the child's standard output. No filter of the repository runs;
/// of its `.gitattributes` git honours `export-ignore` and `export-subst`.
pub fn archive(repository: &Repository, commit: &str, quarantine: &Quarantine) -> Result<Child, Problem> {
    let kind = repository
        .command(["cat-file", "-t", commit])
        .envs(quarantine.variables())
        .output()
        .map_err(git_missing)?;
    if kind.stdout != b"commit\n" {
        let what = String::from_utf8_lossy(&kind.stdout).trim().to_owned();
        let title = format!(
            "the deploy branch must hold a commit, not {}",
            if what.is_empty() { "that" } else { &what }
        );
        return Err(Problem::new(Kind::User, "git.not-a-commit", title));
    }
    tree_size::check(repository, commit, quarantine)?;
    repository
        .command(["archive", "--format=tar", commit])
        .envs(quarantine.variables())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(git_missing)
}

#[cfg(test)]
mod tests;
