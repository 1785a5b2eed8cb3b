import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { type DeviceInput, deviceInputSchema } from "../registry/device-record.ts";
import type { AnswerOf } from "../schema/named-schema.ts";
import type { ApiServices } from "./api-services.ts";
import { answers } from "./route-answers.ts";
import { addedDeviceSchema, deviceListSchema, removedDeviceSchema } from "./schemas/device-schemas.ts";

const tags = ["devices"];
const pageMax = 1_000;
const unavailable = ["REGISTRY_LOST", "DISK_FULL"];

export function addDeviceRoutes(app: FastifyInstance, services: ApiServices): void {
  addListRoute(app, services);
  addAddRoute(app, services);
  addRemoveRoute(app, services);
}

function addListRoute(app: FastifyInstance, { devices }: ApiServices): void {
  const limit = Type.Integer({
    minimum: 1,
    maximum: pageMax,
    description: `Limit of identities per page; default: ${pageMax}`,
  });
  const after = Type.String({ description: "`next` of the previous page" });
  app.get<{ Querystring: { limit?: number; after?: string } }>(
    "/v1/devices",
    {
      schema: {
        tags,
        operationId: "listDevices",
        summary: "List identities in the order of their names, one page per request",
        querystring: Type.Object(
          { limit: Type.Optional(limit), after: Type.Optional(after) },
          { additionalProperties: false },
        ),
        response: answers({ 200: deviceListSchema }, { codes: ["REQUEST_INVALID"], unavailable }),
      },
    },
    async (request): Promise<AnswerOf<typeof deviceListSchema>> => {
      const limit = request.query.limit ?? pageMax;
      const page = await devices.list({ limit, after: request.query.after ?? "" });
      return { devices: page, next: page.length === limit ? (page.at(-1)?.name ?? null) : null };
    },
  );
}

function addAddRoute(app: FastifyInstance, { devices }: ApiServices): void {
  app.post<{ Body: DeviceInput }>(
    "/v1/devices",
    {
      schema: {
        tags,
        operationId: "addDevice",
        summary: "Add an identity",
        description: "Without a password, Tidegate generates a key, which only this answer contains.",
        body: deviceInputSchema,
        response: answers(
          { 201: addedDeviceSchema },
          {
            codes: ["REQUEST_INVALID", "REQUEST_TOO_LARGE", "DEVICE_INVALID"],
            conflicts: ["DEVICE_EXISTS"],
            unavailable,
          },
        ),
      },
    },
    async (request, reply) => {
      const answer: AnswerOf<typeof addedDeviceSchema> = await devices.add(request.body);
      return reply.status(201).send(answer);
    },
  );
}

function addRemoveRoute(app: FastifyInstance, { devices }: ApiServices): void {
  app.delete<{ Params: { name: string } }>(
    "/v1/devices/:name",
    {
      schema: {
        tags,
        operationId: "removeDevice",
        summary: "Remove an identity and close its connections",
        params: Type.Object({ name: Type.String({ description: "Name of the identity" }) }),
        response: answers(
          { 200: removedDeviceSchema },
          { codes: ["DEVICE_UNKNOWN", "REQUEST_INVALID"], unavailable },
        ),
      },
    },
    async (request): Promise<AnswerOf<typeof removedDeviceSchema>> => {
      await devices.remove(request.params.name);
      return { removed: request.params.name };
    },
  );
}
