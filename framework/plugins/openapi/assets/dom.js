// Elements without markup in strings: whatever a description says, it stays text.

/** h("a", {href, class, onclick, ...}, child, [children], "text"); what is null, undefined or false is left out. */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A <details> whose content is made when it is first opened: schemas may contain themselves. */
export function fold(props, summary, content) {
  const element = h("details", props, h("summary", null, summary));
  const fill = () => { if (element.open && element.children.length === 1) element.append(...[content()].flat(9)); };
  element.addEventListener("toggle", fill);
  fill();
  return element;
}

const INLINE = /(``?)(.+?)\1|\*\*(.+?)\*\*|\*(.+?)\*|\[([^\]]+)\]\(((?:https?:\/\/|[/#.])[^)\s]*)\)/g;

function inline(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    parts.push(text.slice(end, found.index));
    end = found.index + found[0].length;
    if (found[2]) parts.push(h("code", null, found[2]));
    else if (found[3]) parts.push(h("strong", null, found[3]));
    else if (found[4]) parts.push(h("em", null, found[4]));
    else parts.push(h("a", { href: found[6], rel: "noreferrer" }, found[5]));
  }
  return [...parts, text.slice(end)];
}

/** The part of CommonMark that docstrings use: paragraphs, lists, fenced code, headings, code, emphasis, links. */
export function markdown(text) {
  const parts = (text ?? "").split(/^ *```.*\n?/m); // every second one stands between fences
  return parts.flatMap((part, index) => index % 2 ? h("pre", null, part.trimEnd()) : prose(part));
}

function prose(text) {
  return text.trim().split(/\n{2,}/).filter(Boolean).map((block) => {
    const lines = block.split("\n");
    const item = /^\s*(?:[-*+]|\d+[.)])\s+/;
    if (item.test(lines[0])) {
      const items = block.split(/\n(?=\s*(?:[-*+]|\d+[.)])\s)/);
      return h(/^\s*\d/.test(block) ? "ol" : "ul", null, items.map((one) => h("li", null, inline(one.replace(item, "")))));
    }
    const heading = /^#{1,6}\s+(.*)/.exec(lines[0]);
    return heading ? h("p", null, h("strong", null, inline(heading[1]))) : h("p", null, inline(lines.join(" ")));
  });
}

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

/** Indented JSON with its keys, texts, numbers and words told apart by colour. */
export function json(value) {
  const text = JSON.stringify(value, null, 2) ?? "";
  if (text.length > 200_000) return [text];
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(TOKENS)) {
    const kind = found[2] ? "key" : found[1] ? "text" : found[3] ? "word" : "number";
    const token = found[1] ?? found[0];
    parts.push(text.slice(end, found.index), h("span", { class: `json-${kind}` }, token));
    end = found.index + token.length;
  }
  return [...parts, text.slice(end)];
}
