import { encodeEnvelope } from "../../../devices/protocol/telemetry-envelope.ts";
import type { HostileContent } from "./hostile-json.ts";
import { bytes } from "./mqtt-bytes.ts";

const groupDepth = 5_000;
const changedCount = 12;

/** Protobuf that breaks parsers, ids and times of envelopes, and envelopes with bytes changed by chance. */
export function hostileEnvelopes(random: () => number, nowMs: number): HostileContent[] {
  const good = Buffer.from(
    encodeEnvelope({
      messageId: Buffer.from("h"),
      eventTimeMs: nowMs,
      contentType: "application/json",
      payload: Buffer.from("{}"),
    }),
  );
  const ten = Buffer.alloc(10, 0xff);
  const content = (kind: string, payload: Uint8Array, isUnfilable = false) => ({
    kind: `envelope: ${kind}`,
    payload,
    isUnfilable,
  });
  const unfilable = (kind: string, payload: Uint8Array) => content(kind, payload, true);
  return [
    unfilable("nothing", Buffer.alloc(0)),
    unfilable("cut short", good.subarray(0, -1)),
    unfilable("JSON", Buffer.from('{"id":"h"}')),
    unfilable("a field longer than the message", bytes(0x0a, 0xff, 0xff, 0xff, 0x7f, "h")),
    unfilable("a number that does not end", bytes(0x10, ten, ten)),
    unfilable("an unknown wire type", bytes(good, 0x37, 0)),
    content(
      "groups in each other",
      bytes(good, Buffer.alloc(groupDepth, 0x33), Buffer.alloc(groupDepth, 0x34)),
    ),
    content("groups that stay open", bytes(good, Buffer.alloc(groupDepth, 0x33))),
    content("a time below all", bytes(0x0a, 1, "h", 0x10, 0x80, Buffer.alloc(8, 0x80), 0x01)),
    content("an id of 65 bytes", bytes(0x0a, 65, "i".repeat(65), 0x10, 1)),
    content("an id twice", bytes(0x0a, 1, "f", good)),
    content("unknown fields", bytes(good, 0xfa, 0x7f, 3, "???", 0xf8, 0x7f, 1)),
    ...Array.from({ length: changedCount }, () => content("bytes changed by chance", changed(good, random))),
  ];
}

function changed(good: Uint8Array, random: () => number): Buffer {
  const payload = Buffer.from(good);
  for (let count = 0; count < 3; count++)
    payload[Math.floor(random() * payload.length)] = Math.floor(random() * 256);
  return payload;
}
