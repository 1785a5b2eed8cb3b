import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { type DeviceInput, deviceInputSchema } from "../registry/device-record.ts";
import type { ApiServices } from "./api-services.ts";

const tags = ["devices"];
const pageMax = 1_000;

export function addDeviceRoutes(app: FastifyInstance, { devices }: ApiServices): void {
  app.get<{ Querystring: { limit?: number; after?: string } }>(
    "/v1/devices",
    {
      schema: {
        tags,
        summary: "Identities in order of their names, a page at a time",
        querystring: Type.Object(
          {
            limit: Type.Optional(Type.Integer({ minimum: 1, maximum: pageMax })),
            after: Type.Optional(Type.String({ description: "`next` of the page before" })),
          },
          { additionalProperties: false },
        ),
      },
    },
    async (request) => {
      const limit = request.query.limit ?? pageMax;
      const page = await devices.list({ limit, after: request.query.after ?? "" });
      return { devices: page, next: page.length === limit ? (page.at(-1)?.name ?? null) : null };
    },
  );

  app.post<{ Body: DeviceInput }>(
    "/v1/devices",
    {
      schema: { tags, summary: "Adds an identity; its key is in this answer only", body: deviceInputSchema },
    },
    async (request, reply) => reply.status(201).send(await devices.add(request.body)),
  );

  app.delete<{ Params: { name: string } }>(
    "/v1/devices/:name",
    {
      schema: {
        tags,
        summary: "Removes an identity and closes its connections",
        params: Type.Object({ name: Type.String() }),
      },
    },
    async (request) => {
      await devices.remove(request.params.name);
      return { removed: request.params.name };
    },
  );
}
