import pino from "pino";
import { createApi } from "../../gateway/api/api-server.ts";
import type { ApiServices } from "../../gateway/api/api-services.ts";
import { createGatewayMetrics } from "../../gateway/supervisor/gateway-metrics.ts";

/** The parts of an OpenAPI document that tests read. */
export interface ApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, ApiOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
  readonly tags: readonly { readonly name: string; readonly description: string }[];
}

export interface ApiOperation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security?: readonly object[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly description?: string;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<Record<string, ApiResponse>>;
}

export interface ApiResponse {
  readonly description: string;
  readonly content: Readonly<Record<string, { readonly schema: object }>>;
}

export const uncallableToken = "none";

/** The API of this source, with routes that only refuse or fail. */
export async function uncallableApi() {
  return await createApi({
    services: {} as ApiServices,
    token: uncallableToken,
    folder: null,
    bodyMaxBytes: 1_024,
    version: "test",
    logger: pino({ level: "silent" }),
    requests: createGatewayMetrics().apiRequests,
  });
}

/** The answer of this source at /openapi.json. */
export async function apiDocument(): Promise<ApiDocument> {
  const api = await uncallableApi();
  try {
    return (await api.inject({ method: "GET", url: "/openapi.json" })).json();
  } finally {
    await api.close();
  }
}
