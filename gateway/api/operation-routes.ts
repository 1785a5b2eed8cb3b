import { Type } from "@sinclair/typebox";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { quarantineReasons } from "../../bridge/index.ts";
import { GatewayError } from "../errors.ts";
import type { ApiServices, QuarantineFilter, Readiness } from "./api-services.ts";
import { openText } from "./open-text.ts";

const quarantineMax = 1_000;

/** Routes that monitoring asks without a token say so in their config. */
export function addOperationRoutes(
  app: FastifyInstance,
  services: ApiServices,
  hasToken: (request: FastifyRequest) => boolean,
): void {
  const open = { config: { isOpen: true } };
  const tags = ["operation"];
  app.get("/livez", { ...open, schema: { tags, summary: "200 while the supervisor runs" } }, async () => ({
    status: "ok",
  }));

  app.get(
    "/readyz",
    {
      ...open,
      schema: {
        tags,
        summary:
          "200 while publishes are acknowledged, else 503 with the reasons. `state` is degraded, with reasons in `degraded`, if filing or the upkeep of the tables is stuck. Whole texts, with paths, for those who send the token",
      },
    },
    async (request, reply) => {
      const readiness = await services.readiness();
      const shown = readinessBody(hasToken(request) ? readiness : openReadiness(readiness));
      return reply.status(readiness.isReady ? 200 : 503).send(shown);
    },
  );

  app.get("/openapi.json", { ...open, schema: { hide: true } }, async () => app.swagger());

  app.get(
    "/metrics",
    { schema: { tags, summary: "Prometheus metrics of all processes" } },
    async (_request, reply) =>
      reply.type("text/plain; version=0.0.4; charset=utf-8").send(await services.metrics()),
  );

  app.get("/v1/status", { schema: { tags, summary: "Processes, books and lag" } }, () => services.status());

  app.post<{ Body: { partition: number } }>(
    "/v1/stream/accept-gap",
    {
      schema: {
        tags,
        summary:
          "Lets a partition go on behind a gap in its stream; what is missing stays in the books as unaccounted",
        body: Type.Object(
          { partition: Type.Integer({ minimum: 0, maximum: 65_535 }) },
          { additionalProperties: false },
        ),
      },
    },
    (request) => services.acceptGap(request.body.partition),
  );
}

interface QuarantineQuery {
  readonly limit?: number;
  readonly topic?: string;
  readonly mqttTopic?: string;
  readonly device?: string;
  readonly reason?: string;
}

export function addQuarantineRoutes(app: FastifyInstance, { quarantine, topics }: ApiServices): void {
  const tags = ["quarantine"];
  const text = Type.String({ minLength: 1, maxLength: 256 });
  app.get<{ Querystring: QuarantineQuery }>(
    "/v1/quarantine",
    {
      schema: {
        tags,
        summary: "Messages that could not be filed in their table, newest first, without payloads",
        querystring: Type.Object(
          {
            limit: Type.Optional(Type.Integer({ minimum: 1, maximum: quarantineMax })),
            topic: Type.Optional(
              Type.String({
                minLength: 1,
                maxLength: 256,
                description: "Name of a topic, also a deleted one",
              }),
            ),
            mqttTopic: Type.Optional(
              Type.String({ minLength: 1, maxLength: 65_535, description: "MQTT topic name" }),
            ),
            device: Type.Optional(text),
            reason: Type.Optional(text),
          },
          { additionalProperties: false },
        ),
      },
    },
    async (request) => ({ rows: await quarantine.list(filterOf(request.query, topics)) }),
  );

  app.get<{ Params: { id: string } }>(
    "/v1/quarantine/:id",
    {
      schema: {
        tags,
        summary: "One such message with its payload (base64)",
        params: Type.Object({
          id: Type.String({ pattern: "^[A-Za-z0-9_-]{1,64}\\.\\d{1,5}\\.[A-Za-z0-9_-]{1,64}\\.\\d{1,9}$" }),
        }),
      },
    },
    async (request) => {
      const row = await quarantine.show(request.params.id);
      if (!row)
        throw new GatewayError(
          "QUARANTINE_UNKNOWN",
          `There is no quarantined message ${request.params.id}.`,
          {
            retryable: false,
          },
        );
      return { row };
    },
  );
}

/** A filter that can match nothing, whatever is quarantined, is a mistake. */
function filterOf(query: QuarantineQuery, topics: ApiServices["topics"]): QuarantineFilter {
  const { limit = 50, topic, mqttTopic, device, reason } = query;
  if (reason !== undefined && !quarantineReasons.some((known) => known === reason))
    throw unknownFilter(`no reason ${reason}: there are ${quarantineReasons.join(", ")}`);
  const found = topics.list({ deleted: true }).find(({ name }) => name === topic);
  if (topic !== undefined && found === undefined)
    throw unknownFilter(
      `no topic ${topic}: \`tidegate topics list --deleted\` shows those that there are. For the name that a device published on, use --mqtt-topic (mqttTopic)`,
    );
  return { limit, topicId: found?.topicId, mqttTopic, device, reason };
}

function unknownFilter(what: string): GatewayError {
  return new GatewayError("REQUEST_INVALID", `There is ${what}.`, { retryable: false });
}

function readinessBody(readiness: Readiness): Readiness & { state: "ready" | "degraded" | "not ready" } {
  const state = readiness.degraded.length > 0 ? "degraded" : "ready";
  return { state: readiness.isReady ? state : "not ready", ...readiness };
}

function openReadiness(readiness: Readiness): Readiness {
  const { reasons, progress, degraded } = readiness;
  return {
    ...readiness,
    reasons: reasons.map(openText),
    progress: progress.map(openText),
    degraded: degraded.map(openText),
  };
}
