import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { quarantineReasons } from "../../bridge/decoders/index.ts";
import { GatewayError } from "../errors.ts";
import { inputError } from "../input/input-error.ts";
import { listText } from "../input/input-faults.ts";
import type { AnswerOf } from "../schema/named-schema.ts";
import type { ApiServices, QuarantineFilter } from "./api-services.ts";
import { answers } from "./route-answers.ts";
import { quarantinedSchema, quarantineListSchema } from "./schemas/quarantine-schemas.ts";

const tags = ["quarantine"];
const rowsMax = 1_000;

interface QuarantineQuery {
  readonly limit?: number;
  readonly topic?: string;
  readonly mqttTopic?: string;
  readonly device?: string;
  readonly reason?: string;
}

const querySchema = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: rowsMax, description: "Limit of rows; default: 50" }),
    ),
    topic: Type.Optional(
      Type.String({ minLength: 1, maxLength: 256, description: "Name of a topic, which may be deleted" }),
    ),
    mqttTopic: Type.Optional(
      Type.String({ minLength: 1, maxLength: 65_535, description: "MQTT topic name" }),
    ),
    device: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: "Device id" })),
    reason: Type.Optional(
      Type.String({ minLength: 1, maxLength: 256, description: `One of ${quarantineReasons.join(", ")}` }),
    ),
  },
  { additionalProperties: false },
);

export function addQuarantineRoutes(app: FastifyInstance, { quarantine, topics }: ApiServices): void {
  app.get<{ Querystring: QuarantineQuery }>(
    "/v1/quarantine",
    {
      schema: {
        tags,
        operationId: "listQuarantine",
        summary: "List messages that could not be filed in their table",
        description: "Newest first, without payloads. A filter that cannot match any message is refused.",
        querystring: querySchema,
        response: answers(
          { 200: quarantineListSchema },
          { codes: ["REQUEST_INVALID"], unavailable: ["CHILD_UNREACHABLE"] },
        ),
      },
    },
    async (request): Promise<AnswerOf<typeof quarantineListSchema>> => ({
      rows: await quarantine.list(filterOf(request.query, topics)),
    }),
  );

  app.get<{ Params: { id: string } }>(
    "/v1/quarantine/:id",
    {
      schema: {
        tags,
        operationId: "getQuarantined",
        summary: "Get one such message with its payload",
        params: Type.Object({
          id: Type.String({
            pattern: "^[A-Za-z0-9_-]{1,64}\\.\\d{1,5}\\.[A-Za-z0-9_-]{1,64}\\.\\d{1,9}$",
            expected: "the id of a quarantined message, as the list shows it",
            description: "`id` in the list",
          }),
        }),
        response: answers(
          { 200: quarantinedSchema },
          { codes: ["REQUEST_INVALID", "QUARANTINE_UNKNOWN"], unavailable: ["CHILD_UNREACHABLE"] },
        ),
      },
    },
    async (request): Promise<AnswerOf<typeof quarantinedSchema>> => {
      const row = await quarantine.show(request.params.id);
      if (row) return { row };
      const message = `There is no quarantined message ${request.params.id}.`;
      throw new GatewayError("QUARANTINE_UNKNOWN", message, { retryable: false });
    },
  );
}

/** Refuses a filter that cannot match any quarantined message. */
function filterOf(query: QuarantineQuery, topics: ApiServices["topics"]): QuarantineFilter {
  const { limit = 50, topic, mqttTopic, device, reason } = query;
  if (reason !== undefined && !quarantineReasons.some((known) => known === reason))
    throw wrongFilter("?reason", reason, `choose ${listText(quarantineReasons)}`);
  const found = topics.list({ deleted: true }).find(({ name }) => name === topic);
  if (topic !== undefined && found === undefined)
    throw wrongFilter(
      "?topic",
      topic,
      "there is no such topic; `tidegate topics list --deleted` shows all topics. To filter by the MQTT topic name of a message, use --mqtt-topic (?mqttTopic)",
    );
  return { limit, topicId: found?.topicId, mqttTopic, device, reason };
}

function wrongFilter(where: string, value: string, mend: string): GatewayError {
  return inputError("REQUEST_INVALID", "", [{ where, kind: "wrong", value, mend }]);
}
