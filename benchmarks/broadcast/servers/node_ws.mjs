// The ws package: one send of the same buffer for each client, as its documentation shows.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../load/package.json", import.meta.url));
const { WebSocket, WebSocketServer } = require("ws");

const server = new WebSocketServer({ port: Number(process.argv[2]), host: "127.0.0.1", perMessageDeflate: false });
server.on("connection", (socket) => {
  socket.on("message", (data, binary) => {
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(data, { binary });
    }
  });
});
