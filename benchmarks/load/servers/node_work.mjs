// The same work as benchmarks/load/work.py asks of the Python servers.
export const HOST = "127.0.0.1";
export const PORT = Number(process.env.BENCH_PORT);
export const ROUTES = Number(process.env.BENCH_ROUTES ?? 30);
export const ONIONS = Number(process.env.BENCH_ONIONS ?? 0);
export const KEEP_ALIVE_MS = 3_600_000;
export const TEXT = "Hello, World!";
export const TEXT_TYPE = "text/plain; charset=utf-8";
export const JSON_TYPE = "application/json";

export function fillers() {
  const patterns = [];
  for (let number = 0; patterns.length < ROUTES - 3; number += 1) {
    patterns.push(`/api/v1/things${number}`, `/api/v1/things${number}/:id`);
  }
  const wanted = patterns.slice(0, ROUTES - 3);
  return [wanted.slice(0, wanted.length >> 1), wanted.slice(wanted.length >> 1)];
}

const string = { type: "string" };
const integer = { type: "integer" };
const number = { type: "number" };

function object(properties, optional = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required };
}

export const ORDER_SCHEMA = object(
  {
    id: integer,
    customer: object({
      name: string,
      email: string,
      address: object({ street: string, city: string, postcode: string, country: string }),
    }),
    lines: { type: "array", items: object({ sku: string, name: string, quantity: integer, price: number }) },
    tags: { type: "array", items: string },
    note: { type: "string", nullable: true },
  },
  ["note"],
);

export const RECEIPT_SCHEMA = object({
  order: integer,
  customer: string,
  city: string,
  quantity: integer,
  total: number,
});

export function accept(order) {
  let quantity = 0;
  let total = 0;
  for (const line of order.lines) {
    quantity += line.quantity;
    total += line.quantity * line.price;
  }
  return { order: order.id, customer: order.customer.name, city: order.customer.address.city, quantity, total };
}
