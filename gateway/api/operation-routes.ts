import { Type } from "@sinclair/typebox";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type AnswerOf, named } from "../schema/named-schema.ts";
import type { ApiServices, Readiness } from "./api-services.ts";
import { openText } from "./open-text.ts";
import { answers, openAnswers } from "./route-answers.ts";
import { acceptedGapSchema, livenessSchema, readinessSchema } from "./schemas/operation-schemas.ts";
import { statusSchema } from "./schemas/status-schema.ts";

const tags = ["operation"];
/** For routes that monitors request without a token. */
const open = { config: { isOpen: true } };
const security: [] = [];

export function addOperationRoutes(
  app: FastifyInstance,
  services: ApiServices,
  hasToken: (request: FastifyRequest) => boolean,
): void {
  addHealthRoutes(app, services, hasToken);
  addDescriptionRoute(app);
  addMetricsRoute(app, services);
  app.get(
    "/v1/status",
    {
      schema: {
        tags,
        operationId: "getStatus",
        summary: "Get processes, books and lag",
        description: "The data of `tidegate status`. A process that does not answer within 2 s is null.",
        response: answers({ 200: named(statusSchema) }),
      },
    },
    async (): Promise<AnswerOf<typeof statusSchema>> => services.status(),
  );
  addAcceptGapRoute(app, services);
}

function addHealthRoutes(
  app: FastifyInstance,
  services: ApiServices,
  hasToken: (request: FastifyRequest) => boolean,
): void {
  app.get(
    "/livez",
    {
      ...open,
      schema: {
        tags,
        security,
        operationId: "getLiveness",
        summary: "Check that the supervisor runs",
        description: "For liveness probes. /readyz reports whether publishes are acknowledged.",
        response: openAnswers({ 200: livenessSchema }),
      },
    },
    async (): Promise<AnswerOf<typeof livenessSchema>> => ({ status: "ok" }),
  );
  app.get(
    "/readyz",
    {
      ...open,
      schema: {
        tags,
        security,
        operationId: "getReadiness",
        summary: "Check that publishes are acknowledged",
        description:
          "200 while publishes are acknowledged, otherwise 503 with the reasons. `state` is degraded, with reasons in `degraded`, if filing or the maintenance of the tables is stuck. Only requests with the token get whole texts, with paths.",
        response: openAnswers({ 200: named(readinessSchema), 503: named(readinessSchema) }),
      },
    },
    async (request, reply) => {
      const readiness = await services.readiness();
      const shown = readinessBody(hasToken(request) ? readiness : openReadiness(readiness));
      return reply.status(readiness.isReady ? 200 : 503).send(shown);
    },
  );
}

function addDescriptionRoute(app: FastifyInstance): void {
  app.get(
    "/openapi.json",
    {
      ...open,
      schema: {
        tags,
        security,
        operationId: "getDescription",
        summary: "Get this description",
        description: "OpenAPI 3.1, for generating clients.",
        response: openAnswers({
          200: Type.Record(Type.String(), Type.Unknown(), { description: "An OpenAPI 3.1 document" }),
        }),
      },
    },
    async () => app.swagger(),
  );
}

function addMetricsRoute(app: FastifyInstance, services: ApiServices): void {
  const metrics = Type.Unsafe<string>({
    description: "Prometheus text format 0.0.4",
    content: { "text/plain": { schema: Type.String() } },
  });
  app.get(
    "/metrics",
    {
      schema: {
        tags,
        operationId: "getMetrics",
        summary: "Get the Prometheus metrics of all processes",
        description: "A process that does not answer within 2 s is left out; `tidegate_child_up` names it.",
        response: answers({ 200: metrics }),
      },
    },
    async (_request, reply) =>
      reply.type("text/plain; version=0.0.4; charset=utf-8").send(await services.metrics()),
  );
}

function addAcceptGapRoute(app: FastifyInstance, services: ApiServices): void {
  app.post<{ Body: { partition: number } }>(
    "/v1/stream/accept-gap",
    {
      schema: {
        tags,
        operationId: "acceptGap",
        summary: "Resume a partition after a gap in its stream",
        description:
          "For a partition that stopped because the stream lost blocks. The missing messages stay in the books as unaccounted. `tidegate status` shows the stopped partitions and the reasons.",
        body: Type.Object(
          {
            partition: Type.Integer({
              minimum: 0,
              maximum: 65_535,
              description: "Number of the partition",
            }),
          },
          { additionalProperties: false },
        ),
        response: answers(
          { 200: acceptedGapSchema },
          {
            codes: ["REQUEST_INVALID", "REQUEST_TOO_LARGE"],
            conflicts: ["STREAM_NO_GAP", "ROLE_ELSEWHERE"],
            unavailable: ["CHILD_UNREACHABLE"],
          },
        ),
      },
    },
    (request): Promise<AnswerOf<typeof acceptedGapSchema>> => services.acceptGap(request.body.partition),
  );
}

function readinessBody(readiness: Readiness): AnswerOf<typeof readinessSchema> {
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
