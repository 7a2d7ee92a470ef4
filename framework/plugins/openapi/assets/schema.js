// A schema as a tree that opens member by member.

import { fold, h, markdown } from "./dom.js";

const facts = (model, schema) => model.constraints(schema).map((text) => h("span", { class: "fact" }, text));

/** A short pattern as it is, a long one to be opened. */
const pattern = (text) => text.length < 40
  ? h("span", { class: "facts pattern" }, "pattern ", h("code", null, text))
  : h("details", { class: "facts pattern" }, h("summary", null, "pattern"), h("code", null, text));

/** Type, constraints, allowed values and description of one value. */
export function about(model, schema, { required = false } = {}) {
  const node = model.resolve(schema);
  return [
    h("span", { class: "facts" }, h("span", { class: "type" }, model.type(schema)),
      required && h("span", { class: "required" }, "required"), facts(model, schema)),
    node.enum && h("span", { class: "facts" }, node.enum.map((value) => h("code", null, JSON.stringify(value)))),
    node.pattern && pattern(node.pattern),
    schema.description !== undefined || !schema.$ref ? markdown(node.description) : null,
  ];
}

/** The members or options inside a schema, or null where there is nothing to open. */
function inside(model, schema) {
  const node = model.resolve(schema);
  const options = node.anyOf ?? node.oneOf;
  if (options) {
    const open = options.filter((option) => inside(model, option));
    return open.length ? () => h("ul", { class: "tree" }, open.map((option) => member(model, null, option))) : null;
  }
  if (node.properties) {
    const required = new Set(node.required);
    return () => h("ul", { class: "tree" }, Object.entries(node.properties).map(
      ([name, value]) => member(model, name, value, required.has(name))));
  }
  if (node.prefixItems) {
    return () => h("ul", { class: "tree" }, node.prefixItems.map((item, index) => member(model, `[${index}]`, item, true)));
  }
  if (node.items) return inside(model, node.items);
  const rest = node.additionalProperties;
  return rest && typeof rest === "object" ? inside(model, rest) : null;
}

function member(model, name, schema, required) {
  const head = [name && h("code", { class: "name" }, name), about(model, schema, { required })];
  const content = inside(model, schema);
  return h("li", null, content ? fold(null, h("span", { class: "member" }, head), content) : h("div", { class: "member" }, head));
}

/** The tree of a body's schema, its first level open. */
export function tree(model, schema) {
  const node = model.resolve(schema);
  const content = inside(model, schema);
  return h("div", { class: "schema" },
    h("p", { class: "facts" }, h("span", { class: "type" }, model.type(schema)), facts(model, schema)),
    schema.$ref && markdown(node.description), content?.());
}
