// What the OpenAPI document says, without any elements: references, operations, types in words, examples.

const METHODS = ["get", "put", "post", "delete", "patch", "trace"];

export class Model {
  constructor(document, url) {
    this.document = document;
    this.url = url;
    this.schemes = document.components?.securitySchemes ?? {};
  }

  /** The object that a reference means; what else it says stays. */
  resolve(node) {
    if (!node?.$ref) return node ?? {};
    const target = node.$ref.slice(2).split("/").reduce(
      (at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], this.document);
    const { $ref, ...own } = node;
    return { ...this.resolve(target), ...own };
  }

  /** Every operation, those included that OpenAPI itself has no place for. */
  operations() {
    const listed = Object.entries(this.document.paths ?? {}).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]).map((method) => ({ path, method, ...item[method] })));
    const further = (this.document["x-overlapping-paths"] ?? []).map(({ operation, ...place }) => ({ ...place, ...operation }));
    return [...listed, ...further].map((one) => ({ ...one, security: one.security ?? this.document.security ?? [] }));
  }

  /** [tag, operations] in the order of the document's tags; an operation stands under its first one. */
  groups() {
    const groups = new Map((this.document.tags ?? []).map((tag) => [tag.name, { ...tag, operations: [] }]));
    for (const operation of this.operations()) {
      const name = operation.tags?.[0] ?? "Other";
      if (!groups.has(name)) groups.set(name, { name, operations: [] });
      groups.get(name).operations.push(operation);
    }
    return [...groups.values()].filter((group) => group.operations.length);
  }

  /** Where requests go: a server of the operation, of the document, or the host of the document. */
  servers(operation) {
    const servers = operation?.servers ?? this.document.servers ?? [{ url: "/" }];
    return servers.map((server) => {
      const filled = server.url.replace(/\{(\w+)\}/g, (_, name) => server.variables?.[name]?.default ?? name);
      return new URL(filled, this.url).href.replace(/\/$/, "");
    });
  }

  /** The type in a few words: "integer", "array of User", "Cat | Dog". */
  type(schema) {
    const node = this.resolve(schema);
    const options = node.anyOf ?? node.oneOf;
    if (options) return options.map((option) => this.type(option)).join(" | ");
    if (node.title && (schema.$ref || node.type === undefined)) return node.title;
    if (node.type === "array") return node.items ? `array of ${this.type(node.items)}` : "array";
    if (node.type === "object" && node.additionalProperties && !node.properties) {
      return `object of ${this.type(node.additionalProperties)}`;
    }
    if (node.const !== undefined) return JSON.stringify(node.const);
    return [node.type].flat().join(" | ") || (node.enum ? "one of" : "any");
  }

  /** What else must hold, as short texts. */
  constraints(schema) {
    const node = this.resolve(schema);
    const said = [];
    const say = (text, value) => { if (value !== undefined) said.push(text.replace("{}", value)); };
    say("{}", node.format);
    say("≥ {}", node.minimum);
    say("> {}", node.exclusiveMinimum);
    if (node.maximum !== 2 ** 63) say("≤ {}", node.maximum);
    say("< {}", node.exclusiveMaximum);
    say("multiple of {}", node.multipleOf);
    for (const [unit, least, most] of [["characters", node.minLength, node.maxLength], ["items", node.minItems, node.maxItems]]) {
      if (least !== undefined && most !== undefined) said.push(`${least} to ${most} ${unit}`);
      else say(`at least {} ${unit}`, least), say(`at most {} ${unit}`, most);
    }
    if (node.uniqueItems) said.push("no duplicates");
    if (node.default !== undefined) said.push(`default ${JSON.stringify(node.default)}`);
    if (node.readOnly) said.push("only read");
    if (node.writeOnly) said.push("only written");
    if (node.additionalProperties === false || node.unevaluatedProperties === false) said.push("no other members");
    return said;
  }

  /** A value that the schema describes. */
  example(schema, within = []) {
    const node = this.resolve(schema);
    if (node.const !== undefined) return node.const;
    if (node.examples?.length) return node.examples[0];
    if (node.default !== undefined) return node.default;
    if (node.enum) return node.enum[0];
    const options = node.anyOf ?? node.oneOf;
    if (options) return this.example(options[0], within);
    if (schema?.$ref && within.includes(schema.$ref)) return null;
    const inside = schema?.$ref ? [...within, schema.$ref] : within;
    switch ([node.type].flat()[0]) {
      case "object": {
        const members = Object.entries(node.properties ?? {}).filter(([, member]) => !this.resolve(member).readOnly);
        return Object.fromEntries(members.map(([name, member]) => [name, this.example(member, inside)]));
      }
      case "array": return (node.prefixItems ?? [node.items ?? {}]).map((item) => this.example(item, inside));
      case "integer": case "number": return node.minimum ?? (node.exclusiveMinimum ?? 0) + (node.exclusiveMinimum === undefined ? 0 : 1);
      case "boolean": return true;
      case "string": return SAMPLES[node.format] ?? "string".padEnd(node.minLength ?? 0, "-");
      default: return null;
    }
  }
}

const SAMPLES = {
  "date-time": "2026-01-31T12:00:00Z", date: "2026-01-31", time: "12:00:00Z", duration: "PT1H",
  uuid: "00000000-0000-4000-8000-000000000000", email: "ada@example.com", uri: "https://example.com/",
};
