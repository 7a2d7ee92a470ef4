// One operation: what it is for, a form that is its parameters and body, and what it answers.

import { fold, h, markdown } from "./dom.js";
import { build, curl, send } from "./request.js";
import { about, tree } from "./schema.js";

/** The card of an operation; `settings` holds the server and the credentials of the page. */
export function card(model, operation, settings) {
  const { operationId: id, method, path, summary, deprecated, security } = operation;
  const title = [
    h("span", { class: `method ${method}` }, method), h("h3", { class: "path" }, path),
    h("span", { class: "summary" }, summary), deprecated && h("span", { class: "fact" }, "deprecated"),
    security.some((one) => Object.keys(one).length) && h("span", { class: "fact", title: "Needs credentials" }, "credentials"),
  ];
  return fold({ id: `op-${id}`, class: `operation${deprecated ? " deprecated" : ""}` }, title, () => h("div", { class: "inside" },
    markdown(operation.description),
    operation.servers && h("p", { class: "dim" }, "Only on ", h("code", null, operation.servers[0].url)),
    form(model, operation, settings), responses(model, operation)));
}

function form(model, operation, settings) {
  const rows = (operation.parameters ?? []).map((parameter) => row(model, operation, parameter));
  const body = bodyOf(model, operation);
  const answer = h("div", { class: "result", role: "status", "aria-live": "polite" });
  const cancel = h("button", { type: "button", hidden: true }, "Cancel");
  const copy = h("button", { type: "button", onclick: () => copyText(curl(request()), copy) }, "Copy as curl");
  const request = () => build(model, operation, {
    server: operation.servers ? model.servers(operation)[0] : settings.server, credentials: settings.credentials,
    values: new Map(rows.map(({ key, values }) => [key, values()])), ...body?.content(),
  });
  const submit = async (event) => {
    event.preventDefault();
    const aborter = new AbortController();
    cancel.onclick = () => aborter.abort();
    cancel.hidden = false;
    await send(request(), answer, aborter.signal);
    cancel.hidden = true;
  };
  const element = h("form", { onsubmit: submit, onkeydown: (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element.requestSubmit();
  } },
    rows.length > 0 && h("section", null, h("h4", null, "Parameters"), rows.map((one) => one.element)), body?.element,
    h("div", { class: "bar" }, h("button", { class: "primary" }, "Send"), cancel, copy, h("span", { class: "dim hint" }, "Ctrl + Enter")),
    answer);
  return element;
}

async function copyText(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
}

/** A parameter, or a field of a form: what it is, and where to type it. */
function row(model, operation, parameter) {
  const { name, required, schema, description } = parameter;
  const place = parameter.in;
  const node = model.resolve(schema);
  const id = `${operation.operationId}-${place}-${name}`;
  const many = node.type === "array";
  const choices = node.type === "boolean" ? [true, false] : node.enum;
  const hint = node.examples?.[0] ?? node.default ?? (many ? "one per line" : undefined);
  const common = { id, name, required: required && place !== "cookie", disabled: place === "cookie", autocomplete: "off" };
  let input;
  let typed = () => (many ? input.value.split("\n") : [input.value]).filter((value) => value !== "" || (required && place === "path"));
  if ((many ? model.resolve(node.items ?? {}) : node).contentMediaType) {
    input = h("input", { ...common, type: "file", multiple: many });
    typed = () => [...input.files];
  } else if (choices) {
    input = h("select", common, h("option", { value: "" }, required ? "" : "—"), choices.map((value) => h("option", null, String(value))));
  } else if (many) input = h("textarea", { ...common, rows: 2, placeholder: hint === undefined ? null : String(hint) });
  else {
    const type = node.format === "password" ? "password" : "text";
    const inputmode = node.type === "integer" ? "numeric" : null;
    input = h("input", { ...common, type, inputmode, spellcheck: "false", placeholder: hint === undefined ? null : String(hint) });
  }
  const element = h("div", { class: "row" },
    h("label", { for: id }, h("code", { class: "name" }, name), h("span", { class: "fact" }, place)),
    h("div", { class: "about" }, about(model, schema, { required }), markdown(description),
      place === "cookie" && h("p", { class: "dim" }, "The browser sends its own cookies.")),
    input);
  return { element, key: `${place} ${name}`, values: typed };
}

function bodyOf(model, operation) {
  const [mediaType, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (!mediaType) return null;
  const title = h("h4", null, "Body ", h("span", { class: "fact" }, mediaType), !operation.requestBody.required && h("span", { class: "fact" }, "optional"));
  const schema = media.schema ?? {};
  if (mediaType === "application/x-www-form-urlencoded" || mediaType === "multipart/form-data") {
    const node = model.resolve(schema);
    const rows = (node.allOf ?? [node]).map((part) => model.resolve(part)).flatMap((part) => {
      const required = new Set(part.required);
      return Object.entries(part.properties ?? {}).map(([name, member]) =>
        row(model, operation, { in: "form", name, schema: member, required: required.has(name) }));
    });
    const fields = () => rows.flatMap(({ key, values }) => values().map((value) => [key.slice(5), value]));
    return { element: h("section", null, title, rows.map((one) => one.element)), content: () => ({ mediaType, fields: fields() }) };
  }
  const text = /json/.test(mediaType) ? JSON.stringify(model.example(schema), null, 2) : "";
  const area = h("textarea", { class: "body", spellcheck: "false", "aria-label": "Body of the request",
    rows: Math.min(24, Math.max(5, text.split("\n").length + 1)) });
  area.value = text;
  return {
    element: h("section", null, title, h("div", { class: "columns" }, area, tree(model, schema))),
    content: () => ({ mediaType, body: area.value }),
  };
}

function responses(model, operation) {
  const entries = Object.entries(operation.responses ?? {}).map(([status, response]) => {
    const label = [h("span", { class: `status s${status[0]}` }, status), h("span", null, response.description)];
    const headers = Object.entries(response.headers ?? {});
    const content = Object.entries(response.content ?? {});
    if (!headers.length && !content.length) return h("div", { class: "response" }, label);
    return fold({ class: "response", open: status[0] === "2" }, label, () => [
      headers.map(([name, header]) => h("div", { class: "facts" }, h("code", { class: "name" }, name), markdown(header.description))),
      content.map(([mediaType, media]) => [h("p", { class: "facts" }, h("span", { class: "fact" }, mediaType)),
        media.schema && tree(model, media.schema)]),
    ]);
  });
  return h("section", { class: "responses" }, h("h4", null, "Responses"), entries);
}
