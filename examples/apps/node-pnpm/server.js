import { readFileSync } from "node:fs";
import Fastify from "fastify";

const greeting = JSON.parse(readFileSync("built/greeting.json", "utf8"));
const app = Fastify();
app.get("/", () => greeting);
await app.listen({ port: Number(process.env.PORT), host: process.env.BIND_ADDRESS });
process.on("SIGTERM", () => app.close());
