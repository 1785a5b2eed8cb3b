import pino from "pino";
import { createApi } from "../../../gateway/api/api-server.ts";
import type { ApiServices } from "../../../gateway/api/api-services.ts";
import { createGatewayMetrics } from "../../../gateway/supervisor/gateway-metrics.ts";

export interface OpenApiSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly OpenApiSchema[];
  readonly oneOf?: readonly OpenApiSchema[];
  readonly items?: OpenApiSchema;
  readonly properties?: Readonly<Record<string, OpenApiSchema>>;
  readonly required?: readonly string[];
  /** OpenAPI 3.0; 3.1 has the type "null". */
  readonly nullable?: boolean;
  readonly minimum?: number;
  /** A boolean in OpenAPI 3.0. */
  readonly exclusiveMinimum?: number | boolean;
  readonly maximum?: number;
}

export interface OpenApiParameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: OpenApiSchema;
}

export interface OpenApiBody {
  readonly $ref?: string;
  readonly description?: string;
  readonly content?: Readonly<Record<string, { readonly schema?: OpenApiSchema }>>;
}

export interface OpenApiOperation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly OpenApiParameter[];
  readonly requestBody?: OpenApiBody;
  readonly responses?: Readonly<Record<string, OpenApiBody>>;
}

export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
}

/** The answer of a gateway to `GET /openapi.json`. */
export async function openApiDocument(): Promise<OpenApiDocument> {
  const api = await createApi({
    // Nothing but the document is asked for.
    services: {} as ApiServices,
    token: "",
    folder: null,
    bodyMaxBytes: 1024,
    version: "",
    logger: pino({ level: "silent" }),
    requests: createGatewayMetrics().apiRequests,
  });
  try {
    const answer = await api.inject({ method: "GET", url: "/openapi.json" });
    if (answer.statusCode !== 200) throw new Error(`/openapi.json was answered with ${answer.body}`);
    return answer.json();
  } finally {
    await api.close();
  }
}

/** The target of `#/components/…`, or the value itself. */
export function resolved<Value extends { readonly $ref?: string }>(
  document: OpenApiDocument,
  value: Value,
): Value {
  if (value.$ref === undefined) return value;
  const target = value.$ref
    .replace(/^#\//, "")
    .split("/")
    .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], document);
  if (target === undefined) throw new Error(`the document has no ${value.$ref}`);
  return resolved(document, target as Value);
}
