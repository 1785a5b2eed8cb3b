import { Type } from "@sinclair/typebox";
import { embeddedDescriptor, type SpaceStatus } from "../../../bridge/streams/embedded/kind.ts";
import { count, orNull } from "../../schema/named-schema.ts";
import { type StreamKind, statusMember } from "../stream-kind.ts";

const spaceSchema = Type.Object(
  {
    retainedBytes: count("Bytes that are not filed or not trimmed yet"),
    maxBytes: count(),
    diskFreeBytes: orNull(Type.Number(), { description: "null = not measured yet" }),
    diskReserveBytes: orNull(Type.Number(), { description: "Reserve for trimming and commits" }),
    fileBytes: count(),
  },
  { description: "Space of the embedded stream" },
);

export const embeddedKind: StreamKind = {
  ...embeddedDescriptor,
  registryIn: "data folder",
  holdsWindow: false,
  status: statusMember<SpaceStatus>()({
    name: "space",
    schema: orNull(spaceSchema, { description: "null = the stream is not embedded" }),
    toldBy: "broker",
  }),
  loadBackend: async () => (await import("./embedded-backend.ts")).embeddedBackend,
  loadSource: async () => (await import("./embedded-source.ts")).embeddedSource,
};
