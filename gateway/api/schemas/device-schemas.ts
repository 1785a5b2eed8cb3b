import { Type } from "@sinclair/typebox";
import { named, oneOf, orNull, text, texts, timeMs } from "./named-schema.ts";

/** An identity as shown to admins: without its secret. */
export const deviceSchema = Type.Object(
  {
    name: text("MQTT user name"),
    role: oneOf(["device", "edge"], "edge = a field gateway that speaks for many devices"),
    topicPrefixes: texts("For an edge: beginnings of the topic names that it may publish on"),
    secret: oneOf(["key", "password"], "key = made by Tidegate, password = chosen by a person"),
    createdAtMs: timeMs("When it was added"),
  },
  { $id: "Device", description: "An identity that may connect, without its secret" },
);

export const deviceListSchema = Type.Object(
  {
    devices: Type.Array(named(deviceSchema)),
    next: orNull(text(), { description: "Give it as `after` to get the next page; null = this is the last" }),
  },
  { description: "One page of identities" },
);

export const addedDeviceSchema = Type.Object(
  {
    device: named(deviceSchema),
    key: orNull(text(), {
      description: "MQTT password, shown in this answer only; null = the request gave a password",
    }),
  },
  { description: "The new identity" },
);

export const removedDeviceSchema = Type.Object(
  { removed: text("Name of the identity") },
  { description: "The identity is removed" },
);
