// The request that a form describes: built, written as curl, sent, and its response shown while it comes in.

import { h, json } from "./dom.js";

const encode = (value, slashes) => slashes ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** {url, method, headers, body} of an operation, given what was typed: values by "in name", a body or form fields. */
export function build(model, operation, { server, values, body, fields, mediaType, credentials }) {
  const query = new URLSearchParams();
  const headers = new Headers();
  let path = operation.path;
  for (const parameter of operation.parameters ?? []) {
    const given = values.get(`${parameter.in} ${parameter.name}`) ?? [];
    if (parameter.in === "path") {
      path = path.replace(`{${parameter.name}}`, () => encode(given[0] ?? "", parameter["x-slashes"]));
    } else if (parameter.in === "query") given.forEach((value) => query.append(parameter.name, value));
    else if (parameter.in === "header") given.forEach((value) => headers.append(parameter.name, value));
  }
  if (fields && mediaType === "multipart/form-data") {
    body = new FormData(); // the browser writes its Content-Type, with the boundary that it chooses
    fields.forEach(([name, value]) => body.append(name, value));
  } else if (fields) body = new URLSearchParams(fields).toString();
  if (!(body instanceof FormData) && body !== undefined && body !== "") headers.set("content-type", mediaType);
  authorize(model, operation, credentials, headers, query);
  const search = query.toString();
  return { url: server + path + (search && `?${search}`), method: operation.method.toUpperCase(), headers, body: body || undefined };
}

function authorize(model, operation, credentials, headers, query) {
  if (credentials[""]) headers.set("authorization", credentials[""]); // where the document names no scheme
  for (const name of new Set(operation.security.flatMap(Object.keys))) {
    const scheme = model.schemes[name] ?? {};
    const value = credentials[name];
    if (!value) continue;
    if (scheme.type === "apiKey" && scheme.in === "header") headers.set(scheme.name, value);
    else if (scheme.type === "apiKey" && scheme.in === "query") query.set(scheme.name, value);
    else if (scheme.scheme?.toLowerCase() === "basic") headers.set("authorization", `Basic ${base64(value)}`);
    else if (scheme.type !== "apiKey") headers.set("authorization", `Bearer ${value}`);
  }
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The same request for a shell. */
export function curl({ url, method, headers, body }) {
  const parts = [`curl -i${method === "GET" ? "" : ` -X ${method}`} ${quoted(url)}`];
  headers.forEach((value, name) => parts.push(`-H ${quoted(`${name}: ${value}`)}`));
  if (body instanceof FormData) {
    body.forEach((value, name) => parts.push(value instanceof File
      ? `-F ${quoted(`${name}=@${value.name}`)}` : `--form-string ${quoted(`${name}=${value}`)}`));
  } else if (body !== undefined) parts.push(`--data-raw ${quoted(body)}`);
  return parts.join(" \\\n  ");
}

/** Sends the request and shows in `place` what comes back, as it comes. */
export async function send(request, place, signal) {
  const start = performance.now();
  const note = h("span", { class: "dim" }, "Waiting …");
  place.replaceChildren(h("p", { class: "answer" }, note));
  let response;
  try {
    response = await fetch(request.url, { ...request, signal, redirect: "follow", cache: "no-store" });
  } catch (error) {
    const why = signal.aborted ? "Cancelled." : `No response (${error.message}). The server is down, or it is another host, `
      + "which this page may call only if it is one of the document's servers and allows it by CORS.";
    place.replaceChildren(h("p", { class: "answer failed" }, why));
    return;
  }
  const status = h("span", { class: `status s${Math.floor(response.status / 100)}` }, `${response.status} ${response.statusText}`);
  const output = h("pre", { tabindex: "0", "aria-label": "Body of the response" });
  const rows = [...response.headers].map(([name, value]) => h("tr", null, h("th", { scope: "row" }, name), h("td", null, value)));
  place.replaceChildren(h("p", { class: "answer" }, status, note), output,
    h("details", null, h("summary", null, `Headers (${rows.length})`), h("table", { class: "headers" }, rows)));
  const body = await receive(response, output).catch(() => null);
  const took = performance.now() - start;
  note.textContent = body === null ? "The body was cut." : `${took < 10 ? took.toFixed(1) : Math.round(took)} ms · ${size(body.length)}`;
  if (body !== null) await show(body, response.headers.get("content-type") ?? "", output);
}

const size = (bytes) => bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
const isText = (type) => !type || /^text\/|json|xml|javascript|urlencoded/.test(type);

async function receive(response, output) {
  const chunks = [];
  const decoder = new TextDecoder();
  const live = isText(response.headers.get("content-type") ?? "");
  for (let reader = response.body?.getReader(), step; reader && !(step = await reader.read()).done;) {
    chunks.push(step.value);
    if (live) output.append(decoder.decode(step.value, { stream: true }));
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

async function show(body, type, output) {
  if (!body.length) output.replaceWith(h("p", { class: "dim" }, "No body."));
  else if (/json/.test(type)) {
    try { output.replaceChildren(...json(JSON.parse(new TextDecoder().decode(body)))); } catch { /* shown as it came */ }
  } else if (type.startsWith("image/")) {
    output.replaceWith(h("img", { alt: "The image in the response", src: `data:${type};base64,${btoa(body.reduce((all, byte) => all + String.fromCharCode(byte), ""))}` }));
  } else if (!isText(type)) output.textContent = `${type || "bytes"}, ${size(body.length)}`;
}
