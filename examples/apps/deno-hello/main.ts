// A Deno app with one package, pinned by deno.lock.
import ms from "ms";

const hostname = Deno.env.get("BIND_ADDRESS");
const port = Number(Deno.env.get("PORT"));
Deno.serve({ hostname, port }, () => new Response(`Hello from Deno, a minute has ${ms("1m")} ms\n`));
