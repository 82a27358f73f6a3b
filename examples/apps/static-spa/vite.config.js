import { defineConfig } from "vite";

export default defineConfig({ define: { GREETING: JSON.stringify("Hello from Vite!") } });
