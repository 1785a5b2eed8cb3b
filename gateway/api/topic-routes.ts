import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { inputError } from "../input/input-error.ts";
import { shownTopic, type TopicInput, topicInputSchema } from "../registry/topic-definition.ts";
import type { AnswerOf } from "../schema/named-schema.ts";
import type { ApiServices } from "./api-services.ts";
import { answers } from "./route-answers.ts";
import {
  deletedTopicSchema,
  topicChangeSchema,
  topicListSchema,
  topicVersionsSchema,
} from "./schemas/topic-schemas.ts";

const tags = ["topics"];
const nameParams = Type.Object({ name: Type.String({ description: "Name of the topic" }) });
const wrongDefinition = ["REQUEST_INVALID", "REQUEST_TOO_LARGE", "TOPIC_INVALID", "TOPIC_SCHEMA_INVALID"];
const conflicts = ["TOPIC_AMBIGUOUS", "TOPIC_INCOMPATIBLE", "REGISTRY_CONFLICT"];
const unavailable = ["REGISTRY_BUSY", "DISK_FULL"];

export function addTopicRoutes(app: FastifyInstance, services: ApiServices): void {
  addReadingRoutes(app, services);
  addCreateRoute(app, services);
  addUpdateRoute(app, services);
  addDeleteRoute(app, services);
}

function addReadingRoutes(app: FastifyInstance, { topics }: ApiServices): void {
  const deleted = Type.Boolean({ description: "True = list deleted topics as well" });
  app.get<{ Querystring: { deleted?: boolean } }>(
    "/v1/topics",
    {
      schema: {
        tags,
        operationId: "listTopics",
        summary: "List topics in force, and deleted ones on request",
        querystring: Type.Object({ deleted: Type.Optional(deleted) }, { additionalProperties: false }),
        response: answers({ 200: topicListSchema }, { codes: ["REQUEST_INVALID"] }),
      },
    },
    async (request): Promise<AnswerOf<typeof topicListSchema>> => ({
      topics: topics.list({ deleted: request.query.deleted ?? false }).map(shownTopic),
    }),
  );
  app.get<{ Params: { name: string } }>(
    "/v1/topics/:name",
    {
      schema: {
        tags,
        operationId: "getTopic",
        summary: "Get a topic with all its versions",
        params: nameParams,
        response: answers({ 200: topicVersionsSchema }, { codes: ["TOPIC_UNKNOWN", "REQUEST_INVALID"] }),
      },
    },
    async (request): Promise<AnswerOf<typeof topicVersionsSchema>> => {
      const versions = topics.versions(request.params.name).map(shownTopic);
      return { topic: versions.at(-1) as (typeof versions)[number], versions };
    },
  );
}

function addCreateRoute(app: FastifyInstance, { topics }: ApiServices): void {
  app.post<{ Body: TopicInput }>(
    "/v1/topics",
    {
      schema: {
        tags,
        operationId: "createTopic",
        summary: "Create a topic",
        description:
          "201 = created, 200 = a topic with this very definition exists. If the name is of a deleted topic and the columns fit, the topic continues with the same table.",
        body: topicInputSchema,
        response: answers(
          { 200: topicChangeSchema, 201: topicChangeSchema },
          { codes: wrongDefinition, conflicts: ["TOPIC_EXISTS", ...conflicts], unavailable },
        ),
      },
    },
    async (request, reply) => {
      const { topic, created } = await topics.create(request.body);
      const answer: AnswerOf<typeof topicChangeSchema> = { topic: shownTopic(topic), created };
      return reply.status(created ? 201 : 200).send(answer);
    },
  );
}

function addUpdateRoute(app: FastifyInstance, { topics }: ApiServices): void {
  app.put<{ Params: { name: string }; Body: TopicInput }>(
    "/v1/topics/:name",
    {
      schema: {
        tags,
        operationId: "updateTopic",
        summary: "Replace the definition of a topic by its next version",
        description: "Fields that the body leaves out get their defaults, not their previous values.",
        params: nameParams,
        body: topicInputSchema,
        response: answers(
          { 200: topicChangeSchema },
          { codes: [...wrongDefinition, "TOPIC_UNKNOWN"], conflicts, unavailable },
        ),
      },
    },
    async (request): Promise<AnswerOf<typeof topicChangeSchema>> => {
      const { name } = request.params;
      const value = request.body.name;
      if (value !== name) {
        const mend = `the path names ${name}, and the name of a topic can't be changed`;
        throw inputError("TOPIC_INVALID", "", [{ where: "name", kind: "wrong", value, mend }]);
      }
      const { topic, created } = await topics.update(request.body);
      return { topic: shownTopic(topic), created };
    },
  );
}

function addDeleteRoute(app: FastifyInstance, { topics }: ApiServices): void {
  const purge = Type.Boolean({ description: "True is refused: tables can't be removed safely" });
  app.delete<{ Params: { name: string }; Querystring: { purge?: boolean } }>(
    "/v1/topics/:name",
    {
      schema: {
        tags,
        operationId: "deleteTopic",
        summary: "Delete a topic",
        description: "Stops acceptance. Messages in the stream are still filed. The table stays.",
        params: nameParams,
        querystring: Type.Object({ purge: Type.Optional(purge) }, { additionalProperties: false }),
        response: answers(
          { 200: deletedTopicSchema },
          {
            codes: ["REQUEST_INVALID", "TOPIC_UNKNOWN"],
            conflicts: ["TOPIC_PURGE_UNSAFE", "REGISTRY_CONFLICT"],
            unavailable,
          },
        ),
      },
    },
    async (request): Promise<AnswerOf<typeof deletedTopicSchema>> => ({
      topic: shownTopic(await topics.delete(request.params.name, { purge: request.query.purge ?? false })),
    }),
  );
}
