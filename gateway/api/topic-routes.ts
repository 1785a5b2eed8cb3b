import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { GatewayError } from "../errors.ts";
import { type TopicInput, topicInputSchema } from "../registry/topic-definition.ts";
import type { ApiServices } from "./api-services.ts";

const tags = ["topics"];
const nameParams = Type.Object({ name: Type.String() });

export function addTopicRoutes(app: FastifyInstance, { topics }: ApiServices): void {
  app.get<{ Querystring: { deleted?: boolean } }>(
    "/v1/topics",
    {
      schema: {
        tags,
        summary: "Topics in force, and on request those that were deleted",
        querystring: Type.Object({ deleted: Type.Optional(Type.Boolean()) }, { additionalProperties: false }),
      },
    },
    async (request) => ({ topics: topics.list({ deleted: request.query.deleted ?? false }) }),
  );

  app.post<{ Body: TopicInput }>(
    "/v1/topics",
    {
      schema: {
        tags,
        summary: "Creates a topic; the same definition again changes nothing",
        body: topicInputSchema,
      },
    },
    async (request, reply) => {
      const { topic, created } = await topics.create(request.body);
      return reply.status(created ? 201 : 200).send({ topic, created });
    },
  );

  app.get<{ Params: { name: string } }>(
    "/v1/topics/:name",
    { schema: { tags, summary: "A topic with all its versions", params: nameParams } },
    async (request) => {
      const versions = topics.versions(request.params.name);
      return { topic: versions.at(-1), versions };
    },
  );

  app.put<{ Params: { name: string }; Body: TopicInput }>(
    "/v1/topics/:name",
    {
      schema: {
        tags,
        summary: "Replaces a topic's definition: its next version",
        params: nameParams,
        body: topicInputSchema,
      },
    },
    async (request) => {
      if (request.body.name !== request.params.name)
        throw new GatewayError("TOPIC_INVALID", "A topic's name can't be changed: path and body differ.", {
          retryable: false,
        });
      const { topic, created } = await topics.update(request.body);
      return { topic, created };
    },
  );

  app.delete<{ Params: { name: string }; Querystring: { purge?: boolean } }>(
    "/v1/topics/:name",
    {
      schema: {
        tags,
        summary: "Stops acceptance; unread messages are still filed, the table stays",
        params: nameParams,
        querystring: Type.Object({ purge: Type.Optional(Type.Boolean()) }, { additionalProperties: false }),
      },
    },
    async (request) => ({
      topic: await topics.delete(request.params.name, { purge: request.query.purge ?? false }),
    }),
  );
}
