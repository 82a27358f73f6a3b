import { mkdirSync, writeFileSync } from "node:fs";
import Mustache from "mustache";

mkdirSync("built", { recursive: true });
writeFileSync("built/greeting.json", JSON.stringify(Mustache.render("Hello from {{name}}!", { name: "pnpm" })));
