import { Ajv2020 } from "ajv/dist/2020.js";
import type { ApiDocument, ApiResponse } from "./api-document.ts";

export interface ApiAnswer {
  readonly method: string;
  /** With or without its query. */
  readonly url: string;
  readonly status: number;
  readonly contentType: string | null;
  readonly body: string;
}

/**
 * Compares answers of the HTTP API with its description. Members that the description does not name are
 * faults here, although clients must ignore them.
 */
export class AnswerCheck {
  readonly #document: ApiDocument;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });

  constructor(document: ApiDocument) {
    this.#document = closed(document);
    this.#ajv.addSchema({ ...this.#document, $id: "api" });
  }

  /** The fault of the answer; null = it is correct. */
  faultOf(answer: ApiAnswer): string | null {
    const { method, status, contentType, body } = answer;
    if (method === "HEAD") return null;
    const path = answer.url.split("?", 1)[0] ?? "";
    const name = `${method} ${path} → ${status}`;
    const place = this.#placeOf(method.toLowerCase(), path);
    if (place === null) return this.#compare(name, "#/components/schemas/Error", body);
    const response: ApiResponse | undefined = place.responses[status];
    if (!response) return `${name}: its description has no such status. ${body}`;
    const type = (contentType ?? "").split(";", 1)[0] ?? "";
    if (!response.content[type]) return `${name}: its description has no ${type}`;
    if (type !== "application/json") return null;
    return this.#compare(name, `${place.pointer}/responses/${status}/content/application~1json/schema`, body);
  }

  #compare(name: string, pointer: string, body: string): string | null {
    const validate = this.#ajv.getSchema(`api${pointer}`);
    if (!validate) throw new Error(`no schema at ${pointer}`);
    if (validate(JSON.parse(body))) return null;
    return `${name}: ${this.#ajv.errorsText(validate.errors)}: ${body.slice(0, 2_000)}`;
  }

  /** null = the description has no such route. */
  #placeOf(method: string, path: string) {
    for (const [template, operations] of Object.entries(this.#document.paths)) {
      const operation = operations[method];
      const pattern = new RegExp(`^${template.replaceAll(/\{\w+\}/g, "[^/]+")}$`);
      if (!operation || !pattern.test(path)) continue;
      const pointer = `#/paths/${template.replaceAll("/", "~1").replaceAll("{", "%7B").replaceAll("}", "%7D")}/${method}`;
      return { pointer, responses: operation.responses };
    }
    return null;
  }
}

/** The schema without additional members. */
function closed<Tree>(tree: Tree): Tree {
  if (Array.isArray(tree)) return tree.map(closed) as Tree;
  if (typeof tree !== "object" || tree === null) return tree;
  const copy = Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, closed(value)]));
  if (copy["type"] === "object" && copy["properties"] && copy["additionalProperties"] === undefined)
    copy["additionalProperties"] = false;
  return copy as Tree;
}
