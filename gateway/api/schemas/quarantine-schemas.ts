import { Type } from "@sinclair/typebox";
import { quarantineReasons } from "../../../bridge/decoders/index.ts";
import { named, oneOf, orNull, text } from "../../schema/named-schema.ts";

const rowProperties = {
  id: text("Place of the message in the stream: STREAM.PARTITION.POSITION.INDEX"),
  ingest_time: text("When the broker accepted the message"),
  device_id: orNull(text()),
  topic: text("MQTT topic name"),
  reason: oneOf(quarantineReasons),
  detail: text("The exact fault"),
  topic_version: Type.Integer({ description: "Version of the topic that judged the message" }),
  event_time: orNull(text(), { description: "null = it could not be read" }),
  payload_crc: orNull(Type.Unsafe<number | string>({ type: ["integer", "string"] })),
};

export const quarantineRowSchema = Type.Object(rowProperties, {
  $id: "QuarantinedMessage",
  description: "A message that could not be filed in its topic's table, without payload",
});

export const quarantinePayloadSchema = Type.Object(
  {
    ...rowProperties,
    payload_base64: orNull(text()),
    message_id_base64: orNull(text(), { description: "null = it could not be read" }),
  },
  { $id: "QuarantinedPayload", description: "A message that could not be filed, with its payload" },
);

export const quarantineListSchema = Type.Object(
  { rows: Type.Array(named(quarantineRowSchema)) },
  { description: "Newest first" },
);

export const quarantinedSchema = Type.Object(
  { row: named(quarantinePayloadSchema) },
  { description: "The message" },
);
