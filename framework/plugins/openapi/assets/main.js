// The page: fetches the document, lists its operations, finds them, and keeps the server and the credentials.

import { h, markdown } from "./dom.js";
import { Model } from "./model.js";
import { card } from "./operation.js";

const url = new URL(document.body.dataset.document, location.href);
// Credentials live as long as the page does; only the colours are remembered.
const settings = { server: "", credentials: {} };

async function start() {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  const model = new Model(await response.json(), url);
  settings.server = model.servers()[0];
  const groups = model.groups();
  const menu = h("button", { type: "button", class: "menu", "aria-expanded": "false", "aria-controls": "nav" }, "Menu");
  const search = h("input", { type: "search", placeholder: "Search  /", "aria-label": "Search operations", spellcheck: "false" });
  const nav = h("nav", { id: "nav", "aria-label": "Operations" }, groups.map((group) => h("section", null,
    h("h2", null, group.name), group.operations.map(link))));
  menu.addEventListener("click", () => setMenu(menu, menu.getAttribute("aria-expanded") !== "true"));
  nav.addEventListener("click", (event) => { if (event.target.closest("a")) setMenu(menu, false); });
  const list = groups.map((group) => h("section", { class: "group", "data-name": group.name },
    h("h2", null, group.name), markdown(group.description), group.operations.map((one) => card(model, one, settings))));
  const nothing = h("p", { class: "dim nothing", hidden: true }, "Nothing found.");
  document.body.replaceChildren(
    h("a", { class: "skip", href: "#main" }, "To the operations"),
    h("aside", null, h("div", { class: "top" }, h("a", { class: "brand", href: "#main" }, model.document.info.title), theme(), menu), search, nav),
    h("main", { id: "main", tabindex: "-1" }, head(model), list, nothing));
  search.addEventListener("input", () => find(search.value, nothing));
  keys(search, nav);
  addEventListener("hashchange", follow);
  document.querySelector("main").addEventListener("toggle", remember, true);
  follow();
}

function link({ operationId, method, path, summary, deprecated, tags }) {
  const text = [method, path, summary, operationId, ...(tags ?? [])].join(" ").toLowerCase();
  return h("a", { href: `#op-${operationId}`, "data-text": text, class: deprecated && "deprecated", title: summary },
    h("span", { class: `method ${method}` }, method === "delete" ? "del" : method), h("span", { class: "path" }, path));
}

function head(model) {
  const { title, version, description, contact, license } = model.document.info;
  const servers = model.servers();
  const pick = servers.length > 1 && h("label", { class: "server" }, "Server ",
    h("select", { onchange: (event) => { settings.server = event.target.value; } }, servers.map((server) => h("option", null, server))));
  return h("header", null,
    h("h1", null, title, h("span", { class: "fact" }, version)), markdown(description),
    h("p", { class: "dim links" }, h("a", { href: url.href }, "OpenAPI document"),
      license && h("span", null, license.name), contact?.email && h("a", { href: `mailto:${contact.email}` }, contact.name ?? contact.email)),
    pick, credentials(model));
}

function credentials(model) {
  const schemes = Object.entries(model.schemes);
  const fields = schemes.length ? schemes : [["Authorization", { description: "The field of that name, sent with every request." }]];
  return h("details", { class: "credentials" }, h("summary", null, "Credentials"), h("form", { onsubmit: (event) => event.preventDefault() }, fields.map(([name, scheme]) => {
    const kind = scheme.scheme?.toLowerCase() === "basic" ? "user:password" : scheme.in ? `${scheme.name} (${scheme.in})` : "token";
    const input = h("input", { type: "password", id: `credential-${name}`, autocomplete: "off", placeholder: schemes.length ? kind : "Bearer …",
      disabled: scheme.in === "cookie", oninput: () => { settings.credentials[schemes.length ? name : ""] = input.value; } });
    return h("div", { class: "row" }, h("label", { for: input.id }, h("code", { class: "name" }, name)),
      h("div", { class: "about" }, markdown(scheme.description), scheme.in === "cookie" && "The browser sends its own cookies."), input);
  })));
}

function find(wanted, nothing) {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  let any = false;
  for (const anchor of document.querySelectorAll("nav a")) {
    const fits = words.every((word) => anchor.dataset.text.includes(word));
    anchor.hidden = !fits;
    document.getElementById(anchor.hash.slice(1)).hidden = !fits;
    any ||= fits;
  }
  for (const section of document.querySelectorAll("nav section, .group")) {
    section.hidden = ![...section.querySelectorAll("a[data-text], .operation")].some((one) => !one.hidden);
  }
  nothing.hidden = any;
}

function keys(search, nav) {
  addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      search.dispatchEvent(new Event("input"));
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (event.target === search || nav.contains(event.target))) {
      const links = [search, ...nav.querySelectorAll("a:not([hidden])")];
      const next = links[links.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) event.preventDefault(), next.focus();
    } else if (event.key === "Enter" && event.target === search) {
      nav.querySelector("a:not([hidden])")?.click();
    }
  });
}

function setMenu(menu, open) {
  menu.setAttribute("aria-expanded", open);
  document.body.classList.toggle("menu-open", open);
}

/** Opens the operation that the address names. */
function follow() {
  const target = document.getElementById(location.hash.slice(1));
  mark();
  if (!target?.matches(".operation")) return;
  target.open = true;
  target.dispatchEvent(new Event("toggle")); // the browser's own comes later, and the place to go to depends on it
  target.scrollIntoView({ block: "start" });
  target.querySelector("summary").focus({ preventScroll: true });
}

function remember({ target }) {
  if (target.matches(".operation") && target.open && location.hash !== `#${target.id}`) {
    history.replaceState(null, "", `#${target.id}`);
    mark();
  }
}

function mark() {
  for (const anchor of document.querySelectorAll("nav a")) {
    if (anchor.hash === location.hash) anchor.setAttribute("aria-current", "true");
    else anchor.removeAttribute("aria-current");
  }
}

function theme() {
  const order = { auto: "light", light: "dark", dark: "auto" };
  const button = h("button", { type: "button", class: "theme", onclick: () => set(order[document.documentElement.dataset.theme]) });
  const set = (name) => {
    document.documentElement.dataset.theme = name;
    button.textContent = { auto: "◐", light: "☀", dark: "☾" }[name];
    button.title = button.ariaLabel = `Colours: ${name}`;
    try { localStorage.setItem("openapi-theme", name); } catch { /* not allowed: not remembered */ }
  };
  let remembered = "auto";
  try { remembered = localStorage.getItem("openapi-theme") ?? "auto"; } catch { /* not allowed */ }
  set(remembered in order ? remembered : "auto");
  return button;
}

start().catch((error) => {
  document.body.replaceChildren(h("main", null, h("h1", null, "The OpenAPI document did not load"), h("p", null, error.message),
    h("p", null, h("a", { href: url.href }, url.href))));
});
