import { type Choice, parseShares, sharesOf } from "./shares.ts";

/**
 * The mix of a fleet. Without a mix, all sessions are clean and publish one kind of message at one quality of
 * service. Each entry has a default share, and names what it is a share of.
 */
export const mixChoices = {
  qos0: { share: 0.1, meaning: "of the messages: published at QoS 0 instead of --qos" },
  qos2: { share: 0.3, meaning: "of the messages: published at QoS 2 instead of --qos" },
  persistent: { share: 0.5, meaning: "of the connections: with Clean Session = 0" },
  typed: {
    share: 0.2,
    meaning: "of the messages: JSON with a value for each column type, on a second topic next to --topic",
  },
  envelope: {
    share: 0.2,
    meaning: "of the messages: telemetry envelopes, on a second topic next to --topic",
  },
  raw: {
    share: 0.05,
    meaning: "of the messages: without an id that the gateway can read, on a second topic next to --topic",
  },
  big: {
    share: 0.0005,
    meaning: "of the messages: 70 to 131 KB right after CONNACK, repeated until acknowledged",
  },
  sleepy: {
    share: 0.002,
    meaning: "of the messages: CONNECT, PUBLISH and DISCONNECT in one write, then the connection is closed",
  },
  will: { share: 0.001, meaning: "of the messages: the will of a connection that ends without DISCONNECT" },
} as const satisfies Readonly<Record<string, Choice>>;

export type MixName = keyof typeof mixChoices;
export type MixShares = Readonly<Partial<Record<MixName, number>>>;

export const mixNames = Object.keys(mixChoices) as readonly MixName[];

/** Reads `qos2,typed=0.5`. Returns the shares, or a sentence with the fault. */
export function parseMix(text: string): MixShares | string {
  return parseShares(text, { defaults: sharesOf(mixChoices), kind: "part of a mix" });
}
