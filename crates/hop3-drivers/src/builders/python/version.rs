// SPDX-License-Identifier: Apache-2.0
//! Which Python is asked for, and by which file.

use crate::builders::author;
use hop3_core::Problem;
use hop3_core::plan::Toolchain;
use hop3_core::settings::Settings;
use hop3_core::source::SourceTree;

/// hop3.toml, .python-version and .tool-versions name one version; the other files name what the code can bear.
pub(super) fn asked(source: &SourceTree, settings: &Settings) -> Result<Toolchain, Problem> {
    if let Some(toolchain) = author::pinned(source, settings, "python", ".python-version", "python3")? {
        return Ok(toolchain);
    }
    if let Some(text) = source.read("runtime.txt")? {
        let version = text.trim().trim_start_matches("python").trim_start_matches('-');
        return Ok(author::wanted("python", version, "runtime.txt"));
    }
    if let Some(version) = key(source, "Pipfile", &["requires", "python_full_version"])?.or(key(
        source,
        "Pipfile",
        &["requires", "python_version"],
    )?) {
        return Ok(author::wanted("python", version, "Pipfile"));
    }
    let project = key(source, "pyproject.toml", &["project", "requires-python"])?;
    let poetry = key(source, "pyproject.toml", &["tool", "poetry", "dependencies", "python"])?;
    Ok(match project.or(poetry) {
        Some(version) => author::wanted("python", version, "pyproject.toml"),
        None => author::any("python"),
    })
}

/// Text at a path of tables; a file that is not TOML says nothing here, its installer will complain.
fn key(source: &SourceTree, file: &str, path: &[&str]) -> Result<Option<String>, Problem> {
    let table = source.read(file)?.and_then(|text| text.parse::<toml::Table>().ok());
    let Some(mut value) = table.map(toml::Value::Table) else { return Ok(None) };
    for key in path {
        match value.get(*key) {
            Some(inner) => value = inner.clone(),
            None => return Ok(None),
        }
    }
    Ok(value.as_str().map(str::to_owned))
}
