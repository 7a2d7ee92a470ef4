// @ts-check
/** Making elements, and text into what a reader sees. What users wrote only ever becomes text nodes. */

/**
 * An element. Names beginning with `on` are listeners, `class` and `text` what they say, `data` goes to the dataset;
 * the rest are attributes: true sets, false and null leave out.
 *
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child || child === "") element.append(child);
  return element;
}

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {{new (): T}} [_type]
 * @returns {T}
 */
export function byId(id, _type) {
  return /** @type {T} */ (document.getElementById(id));
}

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} name of a symbol of the page */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * @param {string} name
 * @param {string} label
 * @param {(event: MouseEvent) => void} onclick
 * @param {Record<string, any>} [props]
 */
export function iconButton(name, label, onclick, props = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...props }, icon(name));
}

/**
 * The initials of a name, on a colour that is the user's.
 *
 * @param {string} user
 * @param {string} name
 * @param {boolean} [online]
 */
export function avatar(user, name, online = false) {
  const words = name.trim().split(/\s+/u);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "").join("");
  const element = h("span", { class: online ? "avatar online" : "avatar", "aria-hidden": "true", text: letters.toUpperCase() });
  let hash = 7;
  for (const letter of user) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  element.style.setProperty("--hue", String((hash * 47) % 360));
  return element;
}

const LINK = /https?:\/\/[^\s<>"'`\\]+/giu;

/**
 * Text with its links; nothing else of it means anything.
 *
 * @param {string} text
 * @returns {Node[]}
 */
export function linked(text) {
  /** @type {Node[]} */
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(LINK)) {
    // What ends a sentence is no part of the address, nor is a bracket that was not opened in it.
    let address = found[0].replace(/[.,:;!?…]+$/u, "");
    if (address.endsWith(")") && !address.includes("(")) address = address.slice(0, -1);
    if (!URL.canParse(address)) continue;
    const { protocol, href } = new URL(address);
    if (protocol !== "http:" && protocol !== "https:") continue;
    parts.push(document.createTextNode(text.slice(from, found.index)));
    parts.push(h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow ugc", text: address }));
    from = found.index + address.length;
  }
  parts.push(document.createTextNode(text.slice(from)));
  return parts;
}

const FEW_EMOJIS = /^(?:\p{Extended_Pictographic}[\p{Emoji_Modifier}\u200d\ufe0f\p{Extended_Pictographic}]*){1,3}$/u;

/** @param {string} text */
export function isOnlyEmoji(text) {
  return text.length < 40 && FEW_EMOJIS.test(text);
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const DAY_OF_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const SHORT_DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

/** @param {number} at */
export const clock = (at) => CLOCK.format(at);

/** @param {number} at */
export const whole = (at) => WHOLE.format(at);

/** @param {number} at */
export const dayKey = (at) => new Date(at).toDateString();

/** @param {number} at */
export function day(at) {
  const days = daysAgo(at);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  return days < 300 ? DAY.format(at) : DAY_OF_YEAR.format(at);
}

/** @param {number} at */
export function shortTime(at) {
  const days = daysAgo(at);
  if (days <= 0) return clock(at);
  return days === 1 ? "Yesterday" : SHORT_DAY.format(at);
}

/** @param {number} at */
function daysAgo(at) {
  const midnight = (/** @type {number} */ time) => new Date(time).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.now()) - midnight(at)) / 86_400_000);
}

/**
 * @param {number} at
 * @param {Record<string, any>} [props]
 */
export function timeElement(at, props = {}) {
  return h("time", { datetime: new Date(at).toISOString(), title: whole(at), text: clock(at), ...props });
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export const counted = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/**
 * Says something for a few seconds.
 *
 * @param {string} text
 */
export function toast(text) {
  const element = h("div", { class: "toast", text });
  byId("toasts").append(element);
  setTimeout(() => element.remove(), 5_000);
}

/**
 * Shows a popover beside an element, inside the window.
 *
 * @param {HTMLElement} popover
 * @param {HTMLElement} anchor
 */
export function showBeside(popover, anchor) {
  popover.showPopover();
  const at = anchor.getBoundingClientRect();
  const { width, height } = popover.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left, innerWidth - width - 8));
  const above = at.top - height - 6;
  const top = at.bottom + 6 + height > innerHeight && above > 8 ? above : Math.min(at.bottom + 6, innerHeight - height - 8);
  popover.style.setProperty("left", `${left}px`);
  popover.style.setProperty("top", `${Math.max(8, top)}px`);
}

/**
 * A menu beside the button that opens it; arrow keys go through it.
 *
 * @param {HTMLElement} anchor
 * @param {{text: string, icon: string, run: () => void}[]} entries
 */
export function showMenu(anchor, entries) {
  const menu = byId("menu");
  const buttons = entries.map(({ text, icon: name, run }) =>
    h("button", { type: "button", role: "menuitem", onclick: () => { menu.hidePopover(); run(); } }, icon(name), text));
  menu.replaceChildren(...buttons);
  menu.onkeydown = (event) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const index = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    buttons[(index + step + buttons.length) % buttons.length].focus();
  };
  menu.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "closed" && menu.contains(document.activeElement)) anchor.focus();
  }, { once: true });
  showBeside(menu, anchor);
  buttons[0]?.focus();
}

const EMOJIS = [..."👍❤😂🎉😮😢🙏👀🔥✅🤔👏😀😅😍😎🥳😴🙈💡🚀☕🍰👋"];

/**
 * Lets the user choose an emoji.
 *
 * @param {HTMLElement} anchor
 * @param {(emoji: string) => void} chosen
 */
export function pickEmoji(anchor, chosen) {
  const picker = byId("picker");
  const buttons = EMOJIS.map((emoji) => {
    const shown = emoji === "❤" ? "❤️" : emoji;
    return h("button", { type: "button", text: shown, "aria-label": shown, onclick: () => { picker.hidePopover(); chosen(shown); } });
  });
  picker.replaceChildren(...buttons);
  picker.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 6, ArrowUp: -6 }[event.key];
    if (!step) return;
    event.preventDefault();
    const index = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    buttons[Math.max(0, Math.min(buttons.length - 1, index + step))].focus();
  };
  showBeside(picker, anchor);
  buttons[0].focus();
}
