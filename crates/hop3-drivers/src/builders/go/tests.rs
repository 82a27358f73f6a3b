// SPDX-License-Identifier: Apache-2.0
//! What is read from go.mod and from a Procfile.

use super::{Module, Programs, program_name, run_arguments};
use hop3_core::settings::Settings;

#[test]
fn the_toolchain_line_of_go_mod_wins() {
    let module = Module::parse(
        "// a comment\nmodule example.org/shop/v2 // v2\n\ngo 1.22\ntoolchain go1.23.1\nrequire (\n\ta v1\n)\n",
    );
    let expected = Module { exists: true, name: "shop".into(), go: "1.23.1".into(), requires: true };
    assert_eq!(module, expected);
}

#[test]
fn a_program_is_named_after_its_module() {
    let names = ["example.org/shop", "shop", "example.org/shop/v12", "v2", "example.org/vault", ""];
    assert_eq!(names.map(program_name), ["shop", "shop", "shop", "v2", "vault", "app"]);
}

#[test]
fn web_is_the_only_program_or_the_one_at_the_top_or_one_with_the_usual_name() {
    let web = |names: &[(&str, &str)]| {
        let pairs = names.iter().map(|(name, package)| (name.to_string(), package.to_string()));
        Programs(pairs.collect()).web().map(str::to_owned)
    };
    assert_eq!(web(&[("tool", "./cmd/tool")]), Some("tool".into()));
    assert_eq!(web(&[("shop", "."), ("tool", "./cmd/tool")]), Some("shop".into()));
    assert_eq!(web(&[("tool", "./cmd/tool"), ("server", "./cmd/server")]), Some("server".into()));
    assert_eq!(web(&[("a", "./cmd/a"), ("b", "./cmd/b")]), None);
}

#[test]
fn only_plain_arguments_of_go_run_are_compiled_ahead() {
    let arguments = |line: &str| {
        let mut settings = Settings::default();
        settings.run.processes.insert("web".parse().unwrap(), line.into());
        run_arguments(&settings).map(|words| words.join(" "))
    };
    assert_eq!(arguments("go run server.go"), Some("server.go".into()));
    assert_eq!(arguments("go run a.go b.go -v --port $PORT"), Some("a.go b.go".into()));
    assert_eq!(arguments("go run ./cmd/shop serve"), Some("./cmd/shop".into()));
    for line in ["go run -race x.go", "go run $(ls)", "go run 'a b.go'", "go run", "bin/app"] {
        assert_eq!(arguments(line), None, "{line}");
    }
}
