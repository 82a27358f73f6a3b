// SPDX-License-Identifier: Apache-2.0
//! What answers requests: a `wsgi:` or `asgi:` line, or the app object of Django, Flask, FastAPI and their like, found
//! by reading the usual files as text. The server is gunicorn or uvicorn.

use super::django;
use crate::builders::author;
use hop3_core::Problem;
use hop3_core::sandbox::Command;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

/// The proxy keeps connections for less than this, so that the server never closes one the proxy is about to use.
const GUNICORN: &str = "exec gunicorn --bind \"$BIND_ADDRESS:$PORT\" --workers \"${WEB_CONCURRENCY:-1}\" \
                        --threads \"${WEB_THREADS:-8}\" --keep-alive 75 \"$1\"";
const UVICORN: &str = "exec uvicorn --host \"$BIND_ADDRESS\" --port \"$PORT\" --timeout-keep-alive 75 \"$@\"";

/// Modules in which an app object is looked for, at the top and in every package.
const MODULES: &[&str] = &["wsgi", "asgi", "app", "main", "application", "server", "api", "__init__"];

/// Classes whose instances speak WSGI, then those that speak ASGI.
const WSGI: &[&str] = &["Flask", "APIFlask", "OpenAPI", "Bottle", "get_wsgi_application"];
const ASGI: &[&str] = &["FastAPI", "Starlette", "Litestar", "Quart", "Sanic", "get_asgi_application"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Gunicorn,
    Uvicorn,
}

impl Server {
    pub(super) fn package(self) -> &'static str {
        match self {
            Server::Gunicorn => "gunicorn",
            Server::Uvicorn => "uvicorn",
        }
    }

    /// Old ones need modules that new Pythons lack.
    pub(super) fn requirement(self) -> &'static str {
        match self {
            Server::Gunicorn => "gunicorn>=21.2",
            Server::Uvicorn => "uvicorn[standard]>=0.23",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Web {
    pub server: Server,
    /// `package.module:callable`, with `()` behind a function that makes the app.
    callable: String,
    /// Said when nothing but a guess led here.
    pub warning: Option<String>,
}

impl Web {
    pub(super) fn command(&self) -> Command {
        match (self.server, self.callable.strip_suffix("()")) {
            (Server::Gunicorn, _) => author::scripted(GUNICORN, &[&self.callable]),
            (Server::Uvicorn, Some(factory)) => author::scripted(UVICORN, &["--factory", factory]),
            (Server::Uvicorn, None) => author::scripted(UVICORN, &[&self.callable]),
        }
    }
}

pub(super) fn find(source: &SourceTree, settings: &Settings) -> Result<Option<Web>, Problem> {
    let web = |server, callable: &str| Web { server, callable: callable.to_owned(), warning: None };
    if let Some(callable) = &settings.run.wsgi {
        return Ok(Some(web(Server::Gunicorn, callable)));
    }
    if let Some(callable) = &settings.run.asgi {
        return Ok(Some(web(Server::Uvicorn, callable)));
    }
    if !author::names_no_process(settings) {
        return Ok(None);
    }
    let found = match django::find(source)? {
        Some(django) => Some(web(Server::Gunicorn, &django.callable)),
        None => search(source)?,
    };
    Ok(found.map(|found| {
        let kind = if found.server == Server::Gunicorn { "wsgi" } else { "asgi" };
        let line = format!("{kind}: {}", found.callable);
        Web { warning: Some(format!("nothing says what answers requests: took \"{line}\"; write that line into a Procfile to be sure")), ..found }
    }))
}

fn search(source: &SourceTree) -> Result<Option<Web>, Problem> {
    for (folder, prefix) in folders(source) {
        for module in MODULES {
            let Some(text) = source.read(&format!("{folder}{module}.py"))? else { continue };
            let Some((server, name)) = app_object(module, &text) else { continue };
            let dotted = match *module {
                "__init__" => prefix.trim_end_matches('.').to_owned(),
                module => format!("{prefix}{module}"),
            };
            if !dotted.is_empty() {
                return Ok(Some(Web { server, callable: format!("{dotted}:{name}"), warning: None }));
            }
        }
    }
    Ok(None)
}

/// The top, its packages and those in `src/`: folder with slash, dotted prefix.
fn folders(source: &SourceTree) -> Vec<(String, String)> {
    let mut found = vec![(String::new(), String::new())];
    for base in ["", "src/"] {
        for name in source.list(base.trim_end_matches('/')) {
            if source.has(&format!("{base}{name}/__init__.py")) && !name.starts_with("test") {
                found.push((format!("{base}{name}/"), format!("{name}.")));
            }
        }
    }
    found
}

/// The app object of a module: `app = Flask(…)` at the left margin, a function that makes one, or, in `wsgi.py` and
/// `asgi.py`, anything of the usual name.
fn app_object(module: &str, text: &str) -> Option<(Server, String)> {
    let made = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = name.split(':').next()?.trim_end();
        let class = value.trim_start().split('(').next()?.rsplit('.').next()?;
        (is_name(name) && value.contains('('))
            .then(|| server_of(class).map(|server| (server, name.to_owned())))?
    });
    made.or_else(|| factory(text)).or_else(|| {
        let server = match module {
            "wsgi" => Server::Gunicorn,
            "asgi" => Server::Uvicorn,
            _ => return None,
        };
        let name =
            ["application", "app"].into_iter().find(|name| text.lines().any(|line| binds(line, name)))?;
        Some((server, name.to_owned()))
    })
}

fn server_of(class: &str) -> Option<Server> {
    match class {
        class if WSGI.contains(&class) => Some(Server::Gunicorn),
        class if ASGI.contains(&class) => Some(Server::Uvicorn),
        _ => None,
    }
}

fn factory(text: &str) -> Option<(Server, String)> {
    let mut lines = text.lines();
    let name = lines.find_map(|line| {
        let rest = line.strip_prefix("def ")?;
        let name = rest.split('(').next()?;
        ["create_app", "make_app"].contains(&name).then(|| format!("{name}()"))
    })?;
    let server = lines.find_map(|line| {
        let value =
            line.split_once('=').map(|(_, value)| value).or_else(|| line.trim().strip_prefix("return "))?;
        server_of(value.trim_start().split('(').next()?.rsplit('.').next()?)
    })?;
    Some((server, name))
}

/// `app = …`, `from x import app`, `import y as app`.
fn binds(line: &str, name: &str) -> bool {
    if let Some((_, imported)) = line.split_once("import ").filter(|_| !line.starts_with(char::is_whitespace))
    {
        return imported.split(',').any(|item| item.split_whitespace().last() == Some(name));
    }
    line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
