// The dashboard: reads the state each second, keeps two minutes of differences, draws them. No library, no foreign host.

const KEPT = 120;
const SVG = "http://www.w3.org/2000/svg";
const CLASSES = [1, 2, 3, 4, 5];
const byId = (id) => document.getElementById(id);

let bounds = [];
let before = null;
let token = sessionStorage.getItem("gateway-token") ?? "";
const history = [];

function el(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  const { class: name, title, on, ...rest } = options;
  if (name) made.className = name;
  if (title) made.title = title;
  for (const [key, value] of Object.entries(rest)) made.setAttribute(key, value);
  if (on) made.addEventListener("click", on);
  made.append(...children.filter((one) => one !== null && one !== undefined).map((one) => (one instanceof Node ? one : String(one))));
  return made;
}

function svg(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// -- numbers ------------------------------------------------------------------------------------------------------

function number(value) {
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return value.toFixed(value < 1 ? 2 : 1);
}

function time(seconds) {
  if (!seconds) return "–";
  const ms = seconds * 1000;
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 100) return `${ms.toFixed(1)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${seconds.toFixed(1)} s`;
}

function percentile(buckets, part) {
  const total = Object.values(buckets).reduce((sum, one) => sum + one, 0);
  if (!total) return 0;
  let seen = 0;
  for (const index of Object.keys(buckets).map(Number).sort((a, b) => a - b)) {
    const count = buckets[index];
    if (seen + count >= part * total) {
      const low = index ? bounds[index - 1] : 0;
      const high = bounds[Math.min(index, bounds.length - 1)];
      return low + ((high - low) * (part * total - seen)) / count;
    }
    seen += count;
  }
  return bounds[bounds.length - 1];
}

function change(now, then) {
  if (!then) then = { requests: 0, statuses: [], buckets: {}, retries: 0 };
  // A worker has ended, and its counts with it: what the others did meanwhile is not known.
  if (now.requests < then.requests) then = now;
  const buckets = {};
  for (const [index, count] of Object.entries(now.buckets)) {
    const more = count - (then.buckets[index] ?? 0);
    if (more > 0) buckets[index] = more;
  }
  return {
    requests: now.requests - then.requests,
    statuses: now.statuses.map((count, index) => Math.max(0, count - (then.statuses[index] ?? 0))),
    retries: Math.max(0, now.retries - then.retries),
    buckets,
  };
}

function added(several) {
  const total = { requests: 0, statuses: [0, 0, 0, 0, 0, 0], retries: 0, buckets: {} };
  for (const one of several) {
    total.requests += one.requests;
    total.retries += one.retries;
    one.statuses.forEach((count, index) => (total.statuses[index] += count));
    for (const [index, count] of Object.entries(one.buckets)) total.buckets[index] = (total.buckets[index] ?? 0) + count;
  }
  return total;
}

// -- charts -------------------------------------------------------------------------------------------------------

function nice(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value);
}

function frame(target, top, label) {
  const width = target.clientWidth || 500;
  const height = target.clientHeight || 190;
  const box = { left: 52, right: width - 4, top: 8, bottom: height - 20 };
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  target.replaceChildren();
  for (const part of [0, 0.5, 1]) {
    const y = box.bottom - (box.bottom - box.top) * part;
    target.append(svg("line", { x1: box.left, x2: box.right, y1: y, y2: y, class: "grid" }));
    target.append(svg("text", { x: box.left - 8, y: y + 4, "text-anchor": "end" }, part ? label(top * part) : "0"));
  }
  for (const ago of [120, 60, 0]) {
    const x = box.right - ((box.right - box.left) * ago) / KEPT;
    target.append(svg("text", { x, y: height - 4, "text-anchor": ago === 0 ? "end" : ago === 120 ? "start" : "middle" }, ago ? `${ago} s ago` : "now"));
  }
  const step = (box.right - box.left) / (KEPT - 1);
  return {
    x: (index) => box.right - (history.length - 1 - index) * step,
    y: (value) => box.bottom - (Math.min(value, top) / top) * (box.bottom - box.top),
  };
}

function drawRates() {
  const target = byId("rate");
  const totals = history.map((one) => one.rates.reduce((sum, rate) => sum + rate, 0));
  const at = frame(target, nice(Math.max(1, ...totals)), number);
  let under = history.map(() => 0);
  for (const kind of [2, 3, 1, 4, 5]) {
    const over = history.map((one, index) => under[index] + one.rates[kind]);
    if (history.some((one) => one.rates[kind] > 0)) {
      const upper = over.map((value, index) => `${at.x(index)},${at.y(value)}`);
      const lower = under.map((value, index) => `${at.x(index)},${at.y(value)}`).reverse();
      target.append(svg("polygon", { points: [...upper, ...lower].join(" "), class: `c${kind}`, "fill-opacity": 0.75 }));
    }
    under = over;
  }
}

function drawLatency() {
  const target = byId("latency");
  const kinds = ["p50", "p95", "p99"];
  const at = frame(target, nice(Math.max(0.001, ...history.flatMap((one) => kinds.map((kind) => one[kind])))), time);
  for (const kind of [...kinds].reverse()) {
    const points = history.map((one, index) => (one[kind] ? `${at.x(index)},${at.y(one[kind])}` : null)).filter(Boolean);
    target.append(svg("polyline", { points: points.join(" "), class: `line ${kind}` }));
  }
}

// -- the parts ----------------------------------------------------------------------------------------------------

function tile(value, text, kind = "") {
  return el("div", { class: `tile ${kind}` }, el("b", {}, value), el("small", {}, text));
}

function drawTiles(total, seconds, state) {
  const failed = total.statuses[5] / Math.max(1, total.requests);
  const clusters = Object.values(state.clusters);
  const endpoints = clusters.flatMap((one) => Object.values(one.endpoints));
  const up = endpoints.filter((one) => one.available).length;
  byId("tiles").replaceChildren(
    tile(number(total.requests / seconds), "requests / s"),
    tile(`${(failed * 100).toFixed(failed && failed < 0.1 ? 2 : 1)} %`, "answered 5xx", failed > 0.05 ? "bad" : failed > 0 ? "warn" : ""),
    tile(time(percentile(total.buckets, 0.5)), "latency, median"),
    tile(time(percentile(total.buckets, 0.99)), "latency, p99"),
    tile(number(Object.values(state.routes).reduce((sum, one) => sum + one.active, 0)), "waiting for an answer"),
    tile(number(total.retries / seconds), "retries / s", total.retries ? "warn" : ""),
    tile(`${up} / ${endpoints.length}`, "endpoints in use", up === endpoints.length ? "" : up ? "warn" : "bad"),
  );
}

function mix(statuses) {
  const total = statuses.reduce((sum, one) => sum + one, 0);
  const bar = el("span", { class: "mix", title: CLASSES.map((kind) => `${kind}xx: ${statuses[kind]}`).join(", ") });
  for (const kind of CLASSES.filter((one) => statuses[one])) {
    const part = el("i", { class: `c${kind}` });
    part.style.width = `${(statuses[kind] / total) * 100}%`;
    bar.append(part);
  }
  return bar;
}

function table(target, heads, rows) {
  const head = el("thead", {}, el("tr", {}, ...heads.map(([text, left]) => el("th", { class: left ? "left" : "", scope: "col" }, text))));
  target.replaceChildren(head, el("tbody", {}, ...rows));
  return target;
}

function drawRoutes(state, changes, seconds) {
  const rows = Object.entries(state.routes).map(([name, route]) => {
    const now = changes[name];
    return el("tr", {},
      el("td", {}, name),
      el("td", { class: "left dim mono" }, route.target),
      el("td", {}, number(now.requests / seconds)),
      el("td", {}, mix(route.statuses)),
      el("td", {}, time(percentile(now.buckets, 0.5))),
      el("td", {}, time(percentile(now.buckets, 0.99))),
      el("td", {}, route.active),
      el("td", { class: route.retries ? "warn" : "dim" }, route.retries.toLocaleString("en")),
      el("td", {}, route.requests.toLocaleString("en")));
  });
  table(byId("routes"), [["Route"], ["Target", true], ["Requests / s"], ["Status mix"], ["Median"], ["p99"], ["Active"], ["Retries"], ["Requests"]], rows);
}

function drawClusters(state, seconds) {
  const cards = Object.entries(state.clusters).map(([name, cluster]) => {
    const breaker = cluster.breaker;
    const about = [`${cluster.policy.replace("_", " ")}`, `${cluster.in_flight} under way`, `${number(cluster.retries_left)} retries left`];
    if (cluster.refused) about.push(`${cluster.refused} refused`);
    const kind = breaker && { closed: "good", half_open: "warn", open: "bad" }[breaker.state];
    const head = el("div", {},
      el("b", {}, name),
      el("span", { class: "about" }, about.join("  ·  ")),
      breaker && el("span", { class: `chip ${kind}`, title: `opened ${breaker.opened} times, refused ${breaker.refused}` }, `breaker ${breaker.state.replace("_", " ")}`),
      breaker && breaker.state !== "closed" ? el("button", { class: "small", type: "button", on: () => tell(`clusters/${encodeURIComponent(name)}/reset`) }, "Close it") : null);
    const rows = Object.values(cluster.endpoints).map((one) => endpointRow(name, one, before?.clusters[name]?.endpoints[one.key], seconds));
    const body = table(el("table"), [["Endpoint"], ["State", true], ["Requests / s"], ["Active"], ["Latency"], ["Weight"], ["Failed"], ["Ejections"], [""]], rows);
    return el("div", { class: "cluster" }, head, el("div", { class: "scroll" }, body));
  });
  // A button that is being pressed is not taken away under the finger.
  if (!byId("clusters").matches(":active")) byId("clusters").replaceChildren(...cards);
}

function endpointRow(cluster, one, then, seconds) {
  const drained = one.why === "it is being drained";
  const kind = one.available ? (one.share < one.weight ? "warn" : "good") : drained ? "warn" : "bad";
  const text = one.available ? (one.why ? `panic: ${one.why}` : one.share < one.weight ? "starting slowly" : "in use") : one.why ?? "out";
  const act = (what) => () => tell(`clusters/${encodeURIComponent(cluster)}/${what}`, { endpoint: one.key });
  const started = Math.max(0, one.started - (then?.started ?? one.started));
  return el("tr", {},
    el("td", { class: "mono" }, el("span", { class: `dot ${kind}` }), one.key),
    el("td", { class: `left ${kind === "good" ? "dim" : kind}` }, text),
    el("td", {}, number(started / seconds)),
    el("td", {}, one.active),
    el("td", {}, time(one.latency)),
    el("td", {}, one.share < one.weight ? `${number(one.share)} / ${one.weight}` : one.weight),
    el("td", { class: one.failures ? "" : "dim" }, one.failures.toLocaleString("en")),
    el("td", { class: one.ejections ? "warn" : "dim" }, one.ejections),
    el("td", {},
      one.why === "its requests fail" ? el("button", { class: "small", type: "button", on: act("readmit") }, "Readmit") : null, " ",
      el("button", { class: "small", type: "button", on: act(drained ? "undrain" : "drain") }, drained ? "Undrain" : "Drain")));
}

function drawLimits(state, seconds) {
  const rows = Object.entries(state.routes).flatMap(([route, one]) =>
    Object.entries(one.limits).map(([name, limit]) => {
      const then = before?.routes[route]?.limits[name] ?? limit;
      return el("tr", {},
        el("td", {}, name),
        el("td", {}, number(Math.max(0, limit.admitted - then.admitted) / seconds)),
        el("td", { class: limit.refused > then.refused ? "bad" : "dim" }, number(Math.max(0, limit.refused - then.refused) / seconds)),
        el("td", {}, limit.admitted.toLocaleString("en")),
        el("td", {}, limit.refused.toLocaleString("en")),
        el("td", { class: "dim" }, limit.shadowed.toLocaleString("en")));
    }));
  byId("limits-section").hidden = rows.length === 0;
  table(byId("limits"), [["Limit"], ["Admitted / s"], ["Refused / s"], ["Admitted"], ["Refused"], ["Would refuse"]], rows);
}

function drawChanges(state) {
  const items = [...state.events].reverse().map((event) =>
    el("li", {},
      el("time", {}, new Date(event.at * 1000).toLocaleTimeString("en", { hour12: false })),
      el("span", { class: `dot ${event.good ? "good" : "bad"}` }),
      el("b", {}, event.what),
      el("span", { class: "mono" }, event.text)));
  byId("changes").replaceChildren(...(items.length ? items : [el("li", { class: "empty" }, "nothing has changed since the start")]));
}

function show(state) {
  bounds = state.bounds ?? bounds;
  const seconds = before ? Math.max(0.1, state.at - before.at) : 1;
  const changes = Object.fromEntries(Object.entries(state.routes).map(([name, route]) => [name, before ? change(route, before.routes[name]) : change(route, route)]));
  const total = added(Object.values(changes));
  history.push({ rates: total.statuses.map((count) => count / seconds), p50: percentile(total.buckets, 0.5), p95: percentile(total.buckets, 0.95), p99: percentile(total.buckets, 0.99) });
  if (history.length > KEPT) history.shift();
  byId("facts").textContent = [
    `generation ${[...new Set(state.workers.map((one) => one.generation ?? "unknown"))].join(" and ")}`,
    `${state.workers.length} worker${state.workers.length > 1 ? "s" : ""}`,
    `${Object.keys(state.routes).length} routes`,
    state.retiring ? `${state.retiring} old clusters end` : "",
  ].filter(Boolean).join("  ·  ");
  const refusing = state.workers.filter((one) => one.problems.length);
  const silent = refusing.filter((one) => one.generation === null).length;
  const told = [silent ? `${silent} silent` : "", refusing.length > silent ? `${refusing.length - silent} refused the file` : ""];
  byId("refusal").hidden = refusing.length === 0;
  byId("refusal").textContent = `of ${state.workers.length} workers: ${told.filter(Boolean).join(", ")}`;
  byId("refusal").title = [...new Set(refusing.flatMap((one) => one.problems))].join("\n");
  drawTiles(total, seconds, state);
  drawRates();
  drawLatency();
  drawClusters(state, seconds);
  drawRoutes(state, changes, seconds);
  drawLimits(state, seconds);
  drawChanges(state);
  before = state;
}

// -- the wire -----------------------------------------------------------------------------------------------------

const fields = () => (token ? { authorization: `Bearer ${token}` } : {});

async function tell(path, body) {
  const options = { method: "POST", headers: fields() };
  if (body) {
    options.body = JSON.stringify(body);
    options.headers["content-type"] = "application/json";
  }
  const answer = await fetch(path, options);
  const said = await answer.json().catch(() => null);
  const problems = Array.isArray(said) ? said.flatMap((one) => one.problems ?? []) : [said?.detail ?? answer.statusText];
  if (answer.ok) toast(path === "reload" ? `generation ${said[0].generation} serves` : "done");
  else toast([...new Set(problems)].join("\n"), "bad");
}

let hiding = 0;
function toast(text, kind = "") {
  const box = byId("toast");
  box.textContent = text;
  box.className = kind;
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (box.hidden = true), kind ? 12_000 : 3_000);
}

function live(text, kind) {
  byId("live").textContent = text;
  byId("live").className = `chip ${kind}`;
}

// EventSource cannot show a token, so the stream is read by hand.
async function follow() {
  const answer = await fetch("events", { headers: fields(), cache: "no-store" });
  if (answer.status === 401) {
    lock(token ? "this token is not the right one" : "");
    return false;
  }
  if (!answer.ok) throw new Error(answer.statusText);
  document.body.classList.remove("locked");
  byId("login").hidden = true;
  live("live", "good");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return true;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const data = text.slice(0, end).split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      text = text.slice(end + 2);
      if (data) show(JSON.parse(data));
    }
  }
}

function lock(why) {
  document.body.classList.add("locked");
  byId("login").hidden = false;
  byId("refused").textContent = why;
  live("locked", "warn");
  byId("token").focus();
}

async function run() {
  for (;;) {
    try {
      if (!(await follow())) return;
    } catch {
      // told below: the gateway is gone, or not there yet
    }
    live("connecting", "bad");
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value;
  sessionStorage.setItem("gateway-token", token);
  run();
});
byId("reload").addEventListener("click", () => tell("reload"));
byId("rate-key").append(...[[2, "2xx"], [3, "3xx"], [4, "4xx"], [5, "5xx"]].map(([kind, text]) => el("span", { class: `key c${kind}` }, text)));
byId("latency-key").append(...["p50", "p95", "p99"].map((kind) => el("span", { class: `key ${kind}` }, kind)));
run();
