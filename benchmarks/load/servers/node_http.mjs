// Node's own http server, no framework; the order is validated by ajv, as fastify does.
import { createServer } from "node:http";
import Ajv from "ajv";
import * as work from "./node_work.mjs";

const valid = new Ajv().compile(work.ORDER_SCHEMA);
const USER = /^\/users\/(\d+)$/;

function end(response, status, body, type = work.TEXT_TYPE) {
  response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

function order(request, response) {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const placed = JSON.parse(Buffer.concat(chunks).toString());
    if (!valid(placed)) return end(response, 422, "not an order");
    return end(response, 200, JSON.stringify(work.accept(placed)), work.JSON_TYPE);
  });
}

const server = createServer({ keepAliveTimeout: work.KEEP_ALIVE_MS }, (request, response) => {
  if (request.url === "/hello") return end(response, 200, work.TEXT);
  if (request.url === "/orders" && request.method === "POST") return order(request, response);
  const user = USER.exec(request.url);
  return user ? end(response, 200, `user ${Number(user[1])}`) : end(response, 404, "not found");
});
server.listen({ port: work.PORT, host: work.HOST, backlog: 4096 });
