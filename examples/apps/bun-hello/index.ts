// A Bun app with one package, pinned by bun.lock.
import ms from "ms";

const hostname = process.env.BIND_ADDRESS;
const port = Number(process.env.PORT);
Bun.serve({ hostname, port, fetch: () => new Response(`Hello from Bun, a minute has ${ms("1m")} ms\n`) });
