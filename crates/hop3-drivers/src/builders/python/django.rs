// SPDX-License-Identifier: Apache-2.0
//! Django: where the settings are, what they say about static files. Read as text, line by line: settings are a
//! program, and a plan runs none.

use hop3_core::Problem;
use hop3_core::plan::{StaticSite, Step};
use hop3_core::sandbox::Command;
use hop3_core::source::SourceTree;

pub(super) struct Django {
    /// `shop.wsgi:application`.
    pub callable: String,
    /// The value of `STATIC_URL`, with a slash at both ends.
    url: String,
    /// The last part of `STATIC_ROOT`, empty when it is written in a way that only Python understands.
    root: Option<String>,
}

pub(super) fn find(source: &SourceTree) -> Result<Option<Django>, Problem> {
    let Some(manage) = source.read("manage.py")? else { return Ok(None) };
    let Some(module) = manage.lines().find(|l| l.contains("DJANGO_SETTINGS_MODULE")).and_then(last_quoted)
    else {
        return Ok(None);
    };
    let path = module.replace('.', "/");
    let package = module.split('.').next().unwrap_or_default().to_owned();
    let mut text = source.read(&format!("{path}.py"))?.unwrap_or_default();
    let folder = path.rsplit_once('/').map_or(path.as_str(), |(folder, _)| folder);
    for name in [format!("{path}/__init__.py"), format!("{folder}/base.py"), format!("{path}/base.py")] {
        text += &source.read(&name)?.unwrap_or_default();
    }
    let of = |key: &str| assigned(&text, key).and_then(last_quoted);
    let callable = match of("WSGI_APPLICATION")
        .and_then(|dotted| dotted.rsplit_once('.').map(|(m, n)| format!("{m}:{n}")))
    {
        Some(callable) => callable,
        None => format!("{package}.wsgi:application"),
    };
    let url = of("STATIC_URL").unwrap_or_else(|| "static/".into());
    let root = assigned(&text, "STATIC_ROOT").map(|line| relative(line).unwrap_or_default());
    Ok(Some(Django { callable, url: format!("/{}/", url.trim_matches('/')), root }))
}

impl Django {
    /// Settings often insist on a secret; collecting files needs none, so the build gives a plain word.
    pub(super) fn collect_static(&self) -> Option<Step> {
        self.root.as_ref()?;
        let command = Command::exec(["python", "manage.py", "collectstatic", "--noinput"]);
        let mut step = Step::new("Collecting static files", command);
        let words = ["SECRET_KEY", "DJANGO_SECRET_KEY"];
        step.env = words.iter().map(|key| ((*key).to_owned(), "only-for-the-build".to_owned())).collect();
        step.hint = "settings must load without a database and without secrets; give variables a default, \
                     or name other commands as \"build\" in hop3.toml"
            .into();
        Some(step)
    }

    pub(super) fn statics(&self) -> Option<StaticSite> {
        let root = self.root.as_ref().filter(|root| !root.is_empty())?;
        if self.url.contains(':') || self.url == "//" {
            return None;
        }
        let prefix = self.url.trim_end_matches('/').to_owned();
        Some(StaticSite { prefix, directory: root.clone(), spa: false })
    }
}

/// The line in which a name at the left margin is given a value.
fn assigned<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().rev().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('=') && !rest.contains("=="))
    })
}

fn last_quoted(line: &str) -> Option<String> {
    let line = line.trim_end().trim_end_matches([')', ',', ' ']);
    let quote = line.chars().last().filter(|c| matches!(c, '"' | '\''))?;
    let inner = line.strip_suffix(quote)?;
    Some(inner[inner.rfind(quote)? + 1..].to_owned())
}

/// `BASE_DIR / "a" / "b"` and `os.path.join(BASE_DIR, "a")`: the quoted parts, when only `BASE_DIR` is before them.
fn relative(line: &str) -> Option<String> {
    let parts: Vec<&str> = line.split(['"', '\'']).skip(1).step_by(2).collect();
    let path = parts.join("/");
    let is_plain =
        line.contains("BASE_DIR") && !path.is_empty() && !path.starts_with('/') && !path.contains("..");
    is_plain.then_some(path)
}
