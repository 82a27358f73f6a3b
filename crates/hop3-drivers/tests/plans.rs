// SPDX-License-Identifier: Apache-2.0
//! Plans of every app in `examples/apps` and refusals of those in `examples/broken-apps`, beside the apps.
//! `UPDATE_EXPECT=1` rewrites them.

use expect_test::expect_file;
use hop3_core::Problem;
use hop3_core::config;
use hop3_core::plan::BuildPlan;
use hop3_core::source::SourceTree;
use hop3_drivers::builders::{builders, plan};
use std::fs;
use std::path::{Path, PathBuf};

/// Broken apps that are refused before anything is built; the others break later, in the end-to-end tests.
const REFUSED: &[&str] =
    &["hop3-toml-unknown-key", "missing-lock-entry", "nothing-recognised", "procfile-syntax"];

fn apps(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(folder);
    let mut apps: Vec<PathBuf> = fs::read_dir(folder)
        .expect("examples can be read and copied")
        .map(|entry| entry.expect("examples can be read and copied").path())
        .collect();
    apps.sort();
    assert!(!apps.is_empty());
    apps
}

/// Plans an app as it would be pushed: what is expected of it does not belong to it.
fn plan_of(app: &Path) -> Result<BuildPlan, Problem> {
    let folder = tempfile::tempdir().expect("examples can be read and copied");
    copy(app, folder.path());
    let source = SourceTree::open(folder.path()).expect("examples can be read and copied");
    let settings = config::load(&source)?;
    plan(&builders(), &source, &settings)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("examples can be read and copied");
    for entry in fs::read_dir(from).expect("examples can be read and copied") {
        let entry = entry.expect("examples can be read and copied");
        let target = to.join(entry.file_name());
        match entry.file_name().to_str().expect("examples can be read and copied") {
            "expected" | "test.toml" => {}
            _ if entry.file_type().expect("examples can be read and copied").is_dir() => {
                copy(&entry.path(), &target)
            }
            _ => drop(fs::copy(entry.path(), target).expect("examples can be read and copied")),
        }
    }
}

#[test]
fn every_example_has_the_plan_beside_it() {
    for app in apps("apps") {
        let plan = plan_of(&app).unwrap_or_else(|problem| panic!("{}: {problem}", app.display()));
        let text = serde_json::to_string_pretty(&plan).unwrap() + "\n";
        fs::create_dir_all(app.join("expected")).unwrap();
        expect_file![app.join("expected/plan.json")].assert_eq(&text);
    }
}

#[test]
fn broken_apps_are_refused_with_the_text_beside_them() {
    for app in apps("broken-apps") {
        let name = app.file_name().unwrap().to_str().unwrap();
        match plan_of(&app) {
            Err(problem) => {
                assert!(REFUSED.contains(&name), "{name}: {problem}");
                fs::create_dir_all(app.join("expected")).unwrap();
                expect_file![app.join("expected/problem.txt")].assert_eq(&problem.render());
            }
            Ok(_) => assert!(!REFUSED.contains(&name), "{name} is planned, but should be refused"),
        }
    }
}

/// Plans an app of a few files: builder, `web` and what is served at `/`, in one line.
fn summary(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a temporary folder");
        fs::write(path, text).expect("a temporary folder");
    }
    let source = SourceTree::open(folder.path()).expect("a temporary folder");
    let planned = config::load(&source).and_then(|settings| plan(&builders(), &source, &settings));
    let plan = match planned {
        Ok(plan) => plan,
        Err(problem) => return problem.code,
    };
    let web = plan.processes.iter().find(|(name, _)| name.as_str() == "web");
    let web = web.map(|(_, command)| command.argv().last().cloned().unwrap_or_default());
    let site = plan.statics.iter().find(|site| site.prefix == "/");
    let site = site.map(|site| format!("{}{}", site.directory, if site.spa { " (spa)" } else { "" }));
    let version = plan.toolchains.first().map(|t| format!("{} {}", t.name, t.version));
    format!("{}; {:?}; {:?}; {}", plan.builder, web, site, version.unwrap_or_default().trim())
}

#[test]
fn plans_follow_from_the_files() {
    let vite = r#"{"scripts": {"build": "vite build", "start": "vite"}, "devDependencies": {"vite": "8"}}"#;
    let next =
        r#"{"scripts": {"build": "next build", "start": "next start"}, "dependencies": {"next": "16"}}"#;
    let server = r#"{"scripts": {"start": "NODE_ENV=x node a.js | tee log"}, "engines": {"node": "^22"}}"#;
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("package.json", vite)], r#"node; None; Some("dist (spa)"); node"#),
        (
            &[("package.json", vite), ("vite.config.ts", "build: { outDir: './public/x' }")],
            r#"node; None; Some("public/x (spa)"); node"#,
        ),
        (
            &[("package.json", next)],
            r#"node; Some("exec next start --hostname \"$BIND_ADDRESS\" --port \"$PORT\""); None; node"#,
        ),
        (
            &[("package.json", next), ("next.config.mjs", "output: 'export'")],
            r#"node; None; Some("out"); node"#,
        ),
        (&[("package.json", server)], r#"node; Some("start"); None; node ^22"#),
        (
            &[("package.json", r#"{"main": "a.js"}"#), ("a.js", ""), (".nvmrc", "lts/*")],
            r#"node; Some("a.js"); None; node"#,
        ),
        (&[("package.json", "{}"), ("main.py", "")], "build.nothing-to-run"),
        (&[("package.json", "{")], "node.bad-package-json"),
        (
            &[
                ("requirements.txt", "mkdocs"),
                ("hop3.toml", "[build]\nstatic-dir = \"site\"\nbuild = \"mkdocs build\""),
            ],
            r#"python; None; Some("site"); python"#,
        ),
        (&[("requirements.txt", "-r base.txt")], "python.missing-requirements"),
        (&[("Pipfile", "[packages]")], "python.no-lock"),
        (
            &[
                ("shop/__init__.py", "def create_app():\n    return Flask(__name__)"),
                ("requirements.txt", "flask"),
                ("runtime.txt", "python-3.12.4"),
            ],
            r#"python; Some("shop:create_app()"); None; python 3.12.4"#,
        ),
        (
            &[
                ("src/shop/__init__.py", ""),
                ("src/shop/main.py", "app = FastAPI()"),
                ("pyproject.toml", "[project]\nrequires-python = '>=3.11'"),
            ],
            r#"python; Some("shop.main:app"); None; python >=3.11"#,
        ),
        (&[("app.py", ""), ("Procfile", "worker: python app.py")], "python; None; None; python"),
        (&[("index.html", ""), ("Procfile", "web: ./serve")], r#"procfile; Some("./serve"); None; "#),
        (&[("Procfile", "static: public")], "static.no-directory"),
        (&[("hop3.toml", "[build]\nbuilder = \"cobol\"")], "build.unknown-builder"),
        (&[], "build.nothing-recognised"),
    ];
    for (files, expected) in cases {
        assert_eq!(summary(files), *expected, "{files:?}");
    }
}
