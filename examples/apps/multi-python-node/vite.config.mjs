import { defineConfig } from "vite";

export default defineConfig({ root: "front", base: "/assets/", build: { outDir: "../dist", assetsDir: "." } });
