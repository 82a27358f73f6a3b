const express = require("express");

const app = express();
app.get("/", (request, response) => response.send("Hello from Express!"));
const server = app.listen(process.env.PORT, process.env.BIND_ADDRESS);
process.on("SIGTERM", () => server.close());
