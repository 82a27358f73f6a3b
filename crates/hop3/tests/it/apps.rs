// SPDX-License-Identifier: Apache-2.0
//! Every app of `examples/apps`: pushed with git, fetched through the proxy as its `test.toml` says. Those that the list
//! below changes in one line are pushed again: the change is seen, and the layers of unchanged lock files are reused.

use crate::harness::{Hop, Repository, example, skip};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// A change of one line, after which the page says `changed`.
struct Change {
    file: &'static str,
    old: &'static str,
    new: &'static str,
}

macro_rules! apps {
    ($($test:ident $app:literal $(in $file:literal: $old:literal => $new:literal)?;)*) => {
        const NAMES: &[&str] = &[$($app),*];
        $(#[test]
        fn $test() {
            let changes: &[Change] = &[$(Change { file: $file, old: $old, new: $new })?];
            is_live($app, changes.first());
        })*
    };
}

apps! {
    bun_hello "bun-hello" in "index.ts": "from Bun" => "from changed Bun";
    clojure_lein "clojure-lein";
    deno_hello "deno-hello" in "main.ts": "from Deno" => "from changed Deno";
    elixir_hello "elixir-hello" in "lib/hello.ex": "from Elixir" => "from changed Elixir";
    go_gin "go-gin" in "main.go": "from Gin" => "from changed Gin";
    go_minimal "go-minimal" in "server.go": "from Go" => "from changed Go";
    java_gradle "java-gradle";
    java_maven "java-maven" in "src/main/java/org/example/Hello.java": "from Java" => "from changed Java";
    multi_python_node "multi-python-node" in "front/index.html": "by Node" => "by changed Node";
    node_express "node-express" in "server.js": "from Express" => "from changed Express";
    node_pnpm "node-pnpm" in "build.js": "name: \"pnpm\"" => "name: \"changed pnpm\"";
    node_yarn "node-yarn" in "server.js": "from Yarn" => "from changed Yarn";
    php_composer "php-composer" in "src/Page.php": "\"Composer\"" => "\"changed Composer\"";
    php_hello "php-hello";
    procfile_only "procfile-only" in "make-greeting.sh": "a Procfile" => "a changed Procfile";
    python_django "python-django";
    python_fastapi "python-fastapi";
    python_flask_alt "python-flask-alt";
    python_flask_gunicorn_pip "python-flask-gunicorn-pip";
    python_flask_poetry "python-flask-poetry";
    python_flask_wsgi "python-flask-wsgi" in "app.py": "a wsgi line" => "a changed wsgi line";
    python_hatch "python-hatch";
    python_pdm "python-pdm";
    python_pipenv "python-pipenv";
    python_uv "python-uv";
    ruby_bundler "ruby-bundler" in "app.rb": "\"Bundler\"" => "\"changed Bundler\"";
    ruby_sinatra "ruby-sinatra";
    rust_axum "rust-axum" in "src/main.rs": "from Axum" => "from changed Axum";
    static_hello "static-hello" in "index.html": "Hello World!" => "Hello changed World!";
    static_spa "static-spa" in "index.html": "Single page" => "Single changed page";
}

/// `test.toml` of an app.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    needs: Vec<String>,
    request: Vec<Request>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    path: String,
    status: u16,
    contains: String,
}

#[test]
fn every_folder_is_listed() {
    let folders = std::fs::read_dir(example("apps")).unwrap().map(|entry| entry.unwrap().file_name());
    let folders: BTreeSet<String> = folders.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(folders, NAMES.iter().map(|name| (*name).to_owned()).collect());
}

fn is_live(app: &str, change: Option<&Change>) {
    let tree = example(&format!("apps/{app}"));
    let expected: Expected =
        toml::from_str(&std::fs::read_to_string(tree.join("test.toml")).unwrap()).unwrap();
    let missing = expected.needs.iter().find(|need| !need.starts_with("registry:") && !is_there(need));
    if let Some(need) = missing {
        return skip(app, &format!("{need} is not installed"));
    }
    let hop = Hop::start();
    let repository = hop.repository(app, &tree);
    let pushed = repository.push(&hop.remote(app), "main");
    let registries = expected.needs.iter().filter(|need| need.starts_with("registry:"));
    if let Some(away) = registries.filter(|_| !pushed.ok).find(|need| !is_there(need)) {
        return skip(app, &format!("{away} does not answer"));
    }
    assert!(pushed.ok, "{}", pushed.text);
    for request in &expected.request {
        let page = hop.get(app, &request.path);
        let good = page.status == request.status && page.text().contains(&request.contains);
        let wanted = format!("{} with \"{}\"", request.status, request.contains);
        assert!(good, "{} should answer {wanted}: {}\n{}", request.path, page.head, page.text());
    }
    if let Some(change) = change {
        is_changed(&hop, &repository, app, change, &expected.request[0].path);
    }
}

fn is_changed(hop: &Hop, repository: &Repository, app: &str, change: &Change, path: &str) {
    let file = repository.path.join(change.file);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches(change.old).count(), 1, "{} of {app}", change.file);
    repository.write(change.file, &text.replace(change.old, change.new));
    repository.commit("change");
    let pushed = repository.push(&hop.remote(app), "main").expect_ok();
    for layer in layers(app) {
        let reused = format!("layer {layer}: unchanged, reused");
        assert!(pushed.text.contains(&reused), "not \"{reused}\":\n{}", pushed.text);
    }
    let page = hop.get(app, path).text();
    assert!(page.contains("changed"), "{page}\n{}", pushed.text);
}

/// Names of the layers in the app's golden plan.
fn layers(app: &str) -> Vec<String> {
    let plan = std::fs::read_to_string(example(&format!("apps/{app}/expected/plan.json"))).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let layers = plan["layers"].as_array().into_iter().flatten();
    layers.map(|layer| layer["name"].as_str().unwrap().to_owned()).collect()
}

/// Asks the thing itself: a tool whether it starts, a registry through its own client.
fn is_there(need: &str) -> bool {
    let argv: &[&str] = match need.split_once(':').unwrap() {
        ("tool", "java") => &["javac", "-version"],
        ("tool", "go") => &["go", "version"],
        ("tool", tool) => &[tool, "--version"],
        ("gem", gem) => &["ruby", "-e", "gem ARGV[0]", gem],
        ("registry", "pypi") => &["python3", "-m", "pip", "download", "--no-deps", "six"],
        ("registry", "npm") => &["npm", "view", "ms", "version"],
        ("registry", "go") => &["go", "mod", "download", "github.com/gin-gonic/gin@v1.10.0"],
        ("registry", "crates") => &["cargo", "info", "itoa"],
        ("registry", "maven") => {
            &["mvn", "--batch-mode", "dependency:get", "-Dartifact=junit:junit:4.13.2:pom"]
        }
        _ => panic!("what is {need}?"),
    };
    let folder = tempfile::tempdir().unwrap();
    answers(argv, folder.path())
}

fn answers(argv: &[&str], folder: &Path) -> bool {
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
