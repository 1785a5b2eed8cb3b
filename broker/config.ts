import { type Static, Type } from "@sinclair/typebox";
import { connectionLimits, deliveryLimits, packetLimits, publishLimits } from "./client-limits.ts";

export const brokerConfigSchema = Type.Object({
  host: Type.String({ default: "127.0.0.1", minLength: 1, description: "Address that MQTT listens on" }),
  port: Type.Integer({
    default: 1883,
    minimum: 0,
    maximum: 65_535,
    description: "Port that MQTT listens on; 0 lets the system choose",
  }),
  anonymous: Type.Boolean({
    default: true,
    description:
      "Lets clients without a user name connect, on a loopback address only; on other addresses every client needs a device key",
  }),
  ...connectionLimits,
  ...packetLimits,
  ...publishLimits,
  plainFilters: Type.Array(Type.String({ minLength: 1 }), {
    default: ["cmd/#"],
    description:
      "MQTT filters of ordinary publish/subscribe, such as commands to devices; if filters overlap, names belong to the more specific one, and to the topic if neither is more specific",
  }),
  plainPublishers: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    description: "Identities (names, or prefixes ending in *) that may publish on plainFilters",
  }),
  ...deliveryLimits,
  stopTimeoutMs: Type.Integer({
    default: 10_000,
    minimum: 1,
    maximum: 120_000,
    unit: "ms",
    description: "How long a stopping broker waits for held messages to settle",
  }),
});

type Settings = Static<typeof brokerConfigSchema>;

export type BrokerConfig = {
  readonly [Name in keyof Settings]: Settings[Name] extends (infer Item)[] ? readonly Item[] : Settings[Name];
};
