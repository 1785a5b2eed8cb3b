import fastifySwagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { apiErrorSchema } from "./api-errors.ts";
import { deviceSchema } from "./schemas/device-schemas.ts";
import { readinessSchema } from "./schemas/operation-schemas.ts";
import { quarantinePayloadSchema, quarantineRowSchema } from "./schemas/quarantine-schemas.ts";
import { statusSchema } from "./schemas/status-schema.ts";
import { topicSchema } from "./schemas/topic-schemas.ts";

const description = `Administration and monitoring of a Tidegate gateway. Devices publish over MQTT, not over this API.

All requests except those for /livez, /readyz and /openapi.json need the token in the file \`api-token\` of the data folder. Bodies are JSON; unknown fields are refused. Refusals have the schema Error: decide on \`code\` or \`retryable\`, never on \`message\`.`;

const tags = [
  { name: "operation", description: "Health, metrics, status, and recovery after data loss in the stream" },
  { name: "topics", description: "Topics on which devices publish, and their tables" },
  { name: "devices", description: "Identities that may connect" },
  { name: "quarantine", description: "Messages that could not be filed in their topic's table" },
];

/** Schemas that have a name of their own in the description. */
const namedSchemas = [
  apiErrorSchema,
  topicSchema,
  deviceSchema,
  quarantineRowSchema,
  quarantinePayloadSchema,
  readinessSchema,
  statusSchema,
];

/** Keywords for the gateway's own texts, which the description leaves out. */
const ownKeywords = new Set(["expected", "secret", "unit"]);

/** Describes all routes that are added after this call: OpenAPI 3.1, served at /openapi.json. */
export async function installDescription(app: FastifyInstance, version: string): Promise<void> {
  for (const schema of namedSchemas) app.addSchema(schema);
  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Tidegate",
        version,
        description,
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      servers: [{ url: "/", description: "The gateway that serves this description" }],
      tags,
      components: {
        securitySchemes: {
          token: {
            type: "http",
            scheme: "bearer",
            description: "The text in the file api-token of the data folder",
          },
        },
      },
      security: [{ token: [] }],
    },
    refResolver: { buildLocalReference: (schema, _base, _fragment, index) => String(schema["$id"] ?? index) },
    transformObject: (document) =>
      published("openapiObject" in document ? document.openapiObject : document.swaggerObject),
  });
}

function published<Tree>(tree: Tree): Tree {
  if (Array.isArray(tree)) return tree.map(published) as Tree;
  if (typeof tree !== "object" || tree === null) return tree;
  const kept = Object.entries(tree).filter(
    ([name, value]) => !(ownKeywords.has(name) && typeof value !== "object"),
  );
  return withOneEnum(Object.fromEntries(kept.map(([name, value]) => [name, published(value)]))) as Tree;
}

/** Turns an `anyOf` of single values into one `enum`. */
function withOneEnum(schema: Record<string, unknown>): Record<string, unknown> {
  const { anyOf, ...rest } = schema;
  if (
    !Array.isArray(anyOf) ||
    !anyOf.every((part) => Array.isArray(part.enum) && part.type === anyOf[0].type)
  )
    return schema;
  return { ...rest, type: anyOf[0].type, enum: anyOf.flatMap((part) => part.enum) };
}
