import { hostileNames } from "../proof-topics.ts";
import { hostileEnvelopes } from "./hostile-envelopes.ts";
import { type HostileContent, hostileJson, payloadBytesMax } from "./hostile-json.ts";
import { bytes } from "./mqtt-bytes.ts";

/** A hostile message under a topic name that no other message has, by which its rows are found. */
export interface HostileMessage extends HostileContent {
  readonly topic: string;
}

/** A message that the broker refuses by itself. */
export interface RefusedMessage {
  readonly kind: string;
  readonly topic: Uint8Array | string;
  readonly payload: Uint8Array;
}

/** One in so many of the JSON contents also goes to the fleet's topics. */
const onFleetTopics = 3;
const levelsTooMany = 200;

/**
 * Hostile messages to the proof's own topic, whose schema asks for much, and to the fleet's.
 *
 * @param prefix Devices' names begin with it; no other messages may have it.
 */
export function hostileMessages(
  prefix: string,
  { random, nowMs }: { readonly random: () => number; readonly nowMs: number },
): HostileMessage[] {
  const json = hostileJson(random, nowMs);
  const some = (share: number) => json.filter(() => random() * share < 1);
  const placed: [HostileContent, keyof typeof hostileNames][] = [
    ...json.map((content) => [content, "own"] as [HostileContent, "own"]),
    ...some(onFleetTopics).map((content) => [content, "json"] as [HostileContent, "json"]),
    ...some(onFleetTopics).map((content) => [content, "typed"] as [HostileContent, "typed"]),
    ...hostileEnvelopes(random, nowMs).map(
      (content) => [content, "envelope"] as [HostileContent, "envelope"],
    ),
    ...some(2 * onFleetTopics).map(
      (content) => [{ ...content, isUnfilable: false }, "raw"] as [HostileContent, "raw"],
    ),
  ];
  return placed.map(([content, place], index) => ({
    ...content,
    topic: hostileNames[place](`${prefix}-${index}`),
  }));
}

/** Under names that nobody may publish on, or larger than the topic allows. */
export function refusedMessages(prefix: string): RefusedMessage[] {
  const small = Buffer.from("{}");
  const beside = (kind: string, topic: Uint8Array | string) => ({ kind, topic, payload: small });
  return [
    {
      kind: "a byte too large",
      topic: hostileNames.own(prefix),
      payload: Buffer.alloc(payloadBytesMax + 1, "x"),
    },
    beside("a name that no topic takes", `nowhere/${prefix}`),
    beside("an empty name", ""),
    beside("a wildcard in the name", `hostile/${prefix}/#`),
    beside("U+0000 in the name", `hostile/${prefix}/\u0000`),
    beside("a name that is no UTF-8", bytes(`hostile/${prefix}/`, 0xff)),
    beside("a name that is too deep", `hostile/${"l/".repeat(levelsTooMany)}x`),
  ];
}
