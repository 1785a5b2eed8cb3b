import { code, page, sentence, table } from "./markdown.ts";
import {
  type OpenApiBody,
  type OpenApiDocument,
  type OpenApiOperation,
  type OpenApiSchema,
  openApiDocument,
  resolved,
} from "./openapi-document.ts";

const introduction = `The HTTP API listens on \`http.host\` and \`http.port\` (127.0.0.1:8080). \`GET /openapi.json\` is its description for programs.
Requests need \`Authorization: Bearer TOKEN\`, unless the page says otherwise; the token is in \`api-token\` of the data folder.
A request that is refused is answered with \`{"code", "message", "details"}\`. Codes: [errors](errors.md).`;

const methods = ["get", "post", "put", "patch", "delete"];

export async function httpApiPage(): Promise<string> {
  const document = await openApiDocument();
  const parts = Object.entries(document.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method];
      return operation ? [operationPart(document, `${method.toUpperCase()} ${path}`, operation)] : [];
    }),
  );
  return page("HTTP API", [introduction, ...parts]);
}

function operationPart(document: OpenApiDocument, title: string, operation: OpenApiOperation): string {
  const isOpen = operation.security?.length === 0;
  return [
    `## ${title}`,
    ...(operation.summary ? [sentence(operation.summary)] : []),
    ...(operation.description ? [operation.description] : []),
    ...(isOpen ? ["No token is needed."] : []),
    ...parametersPart(document, operation),
    ...bodyPart(document, operation.requestBody),
    ...responsesPart(document, operation),
  ].join("\n\n");
}

function parametersPart(document: OpenApiDocument, { parameters = [] }: OpenApiOperation): string[] {
  if (parameters.length === 0) return [];
  const rows = parameters.map((given) => {
    const { name, in: place, required, description, schema } = resolved(document, given);
    const type = schema ? typeText(document, schema) : "";
    const meaning = description ?? schema?.description ?? "";
    return [code(name), place, required ? "yes" : "no", type, sentence(meaning)];
  });
  return [table(["parameter", "in", "required", "type", "meaning"], rows)];
}

function bodyPart(document: OpenApiDocument, body: OpenApiBody | undefined): string[] {
  const schema = body && schemaOf(resolved(document, body));
  return schema ? ["Body:", fieldsTable(document, schema)] : [];
}

function responsesPart(document: OpenApiDocument, { responses = {} }: OpenApiOperation): string[] {
  const rows = Object.entries(responses).map(([status, given]) => {
    const { description = "", ...response } = resolved(document, given);
    const schema = schemaOf(response);
    return [status, sentence(description), schema ? typeText(document, schema) : ""];
  });
  return rows.length === 0 ? [] : ["Answers:", table(["status", "meaning", "body"], rows)];
}

function schemaOf({ content = {} }: OpenApiBody): OpenApiSchema | undefined {
  return Object.values(content)[0]?.schema;
}

function fieldsTable(document: OpenApiDocument, given: OpenApiSchema): string {
  const schema = resolved(document, given);
  const rows = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const { description = "", default: fallback } = resolved(document, property);
    const required = schema.required?.includes(name) && fallback === undefined;
    return [
      code(name),
      required ? "yes" : "no",
      typeText(document, property),
      fallback === undefined ? "" : code(JSON.stringify(fallback)),
      sentence(description),
    ];
  });
  return table(["field", "required", "type", "default", "meaning"], rows);
}

/** A schema in a few words; of an object its fields. */
function typeText(document: OpenApiDocument, given: OpenApiSchema, depth = 0): string {
  const schema = resolved(document, given);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((choice) => typeText(document, choice, depth)).join(" or ");
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (schema.enum) return schema.enum.map((value) => code(JSON.stringify(value))).join(" or ");
  if (schema.items) return `list of ${typeText(document, schema.items, depth)}`;
  if (schema.properties && depth === 0)
    return Object.entries(schema.properties)
      .map(([name, property]) => `${code(name)}: ${typeText(document, property, depth + 1)}`)
      .join("; ");
  const types = [schema.type ?? "any value", schema.nullable ? "null" : []].flat();
  return `${types.join(" or ")}${rangeText(schema)}`;
}

function rangeText({ minimum, exclusiveMinimum, maximum }: OpenApiSchema): string {
  if (typeof exclusiveMinimum === "number")
    return ` above ${exclusiveMinimum}${maximum === undefined ? "" : `, at most ${maximum}`}`;
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return ` of at least ${minimum}`;
  return maximum === undefined ? "" : ` of at most ${maximum}`;
}
