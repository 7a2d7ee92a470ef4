// Fastify with schemas for the body and the answer, its fastest way. Its middlewares are hooks: five pairs for five onions.
import Fastify from "fastify";
import * as work from "./node_work.mjs";

const app = Fastify({ logger: false, keepAliveTimeout: work.KEEP_ALIVE_MS });
const methods = new Map();
const statuses = new Map();

function count(map, key) {
  map.set(key, (map.get(key) ?? 0) + 1);
}

app.addHook("onRequest", (request, reply, done) => {
  count(methods, request.method);
  done();
});
app.addHook("onResponse", (request, reply, done) => {
  count(statuses, reply.statusCode);
  done();
});
for (let layer = 0; layer < work.ONIONS; layer += 1) {
  app.addHook("onRequest", (request, reply, done) => done());
  app.addHook("onSend", (request, reply, payload, done) => done(null, payload));
}

const byId = { schema: { params: { type: "object", properties: { id: { type: "integer" } } } } };

function fill(patterns) {
  for (const pattern of patterns) {
    app.get(pattern, pattern.endsWith(":id") ? byId : {}, (request, reply) => {
      reply.type(work.TEXT_TYPE).send("filler");
    });
  }
}

const [before, after] = work.fillers();
fill(before);
app.get("/hello", (request, reply) => {
  reply.type(work.TEXT_TYPE).send(work.TEXT);
});
app.get("/users/:id", byId, (request, reply) => {
  reply.type(work.TEXT_TYPE).send(`user ${request.params.id}`);
});
app.post(
  "/orders",
  { schema: { body: work.ORDER_SCHEMA, response: { 200: work.RECEIPT_SCHEMA } } },
  (request, reply) => {
    reply.send(work.accept(request.body));
  },
);
fill(after);
await app.listen({ port: work.PORT, host: work.HOST, backlog: 4096 });
