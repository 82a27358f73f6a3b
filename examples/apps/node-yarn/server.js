const Koa = require("koa");

const app = new Koa();
app.use((context) => { context.body = "Hello from Yarn!"; });
const server = app.listen(process.env.PORT, process.env.BIND_ADDRESS);
process.on("SIGTERM", () => server.close());
