import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { GatewayError } from "../errors.ts";
import type { ApiServices, QuarantineFilter } from "./api-services.ts";

const quarantineMax = 1_000;

/** Routes that monitoring asks without a token say so in their config. */
export function addOperationRoutes(app: FastifyInstance, services: ApiServices): void {
  const open = { config: { isOpen: true } };
  const tags = ["operation"];
  app.get("/livez", { ...open, schema: { tags, summary: "200 while the supervisor runs" } }, async () => ({
    status: "ok",
  }));

  app.get(
    "/readyz",
    { ...open, schema: { tags, summary: "200 while publishes are acknowledged, else 503 with the reasons" } },
    async (_request, reply) => {
      const readiness = await services.readiness();
      return reply.status(readiness.isReady ? 200 : 503).send(readiness);
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

export function addQuarantineRoutes(app: FastifyInstance, { quarantine }: ApiServices): void {
  const tags = ["quarantine"];
  const text = Type.String({ minLength: 1, maxLength: 256 });
  app.get<{ Querystring: Omit<QuarantineFilter, "limit"> & { limit?: number } }>(
    "/v1/quarantine",
    {
      schema: {
        tags,
        summary: "Messages that could not be filed in their table, newest first, without payloads",
        querystring: Type.Object(
          {
            limit: Type.Optional(Type.Integer({ minimum: 1, maximum: quarantineMax })),
            topic: Type.Optional(text),
            device: Type.Optional(text),
            reason: Type.Optional(text),
          },
          { additionalProperties: false },
        ),
      },
    },
    async (request) => ({
      rows: await quarantine.list({ ...request.query, limit: request.query.limit ?? 50 }),
    }),
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
