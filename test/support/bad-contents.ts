import { encodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

interface BadContent {
  readonly what: string;
  readonly payload: Uint8Array;
  readonly reason: string;
  /** The detail of the quarantined row. */
  readonly detail: RegExp;
  readonly format?: "telemetry" | "envelope";
}

/**
 * Messages that the broker acknowledges, because only the consumer reads payloads, and that are then in
 * `_quarantine`.
 */
export function badContentsAt(now: number): readonly BadContent[] {
  const envelope = encodeEnvelope({
    messageId: Buffer.from("e1"),
    eventTimeMs: now,
    contentType: "application/json",
    payload: json({ temperature: 1 }),
  });
  return [
    {
      what: "JSON cut short",
      payload: Buffer.from('{"id":"1","ts":'),
      reason: "payload-undecodable",
      detail: /not JSON/,
    },
    { what: "nothing", payload: Buffer.alloc(0), reason: "payload-undecodable", detail: /not JSON/ },
    {
      what: "JSON that is not UTF-8",
      payload: Buffer.concat([Buffer.from('{"id":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
      reason: "payload-undecodable",
      detail: /not UTF-8/,
    },
    {
      what: "100,000 brackets",
      payload: Buffer.alloc(100_000, "["),
      reason: "payload-undecodable",
      detail: /not JSON/,
    },
    { what: "a list", payload: json([1, 2]), reason: "id-missing", detail: /nothing at id/ },
    { what: "no id", payload: json({ ts: now }), reason: "id-missing", detail: /nothing at id/ },
    {
      what: "an id from a prototype",
      payload: Buffer.from(`{"__proto__":{"id":"x"},"ts":${now}}`),
      reason: "id-missing",
      detail: /nothing at id/,
    },
    {
      what: "an id of 65 bytes",
      payload: json({ id: "é".repeat(32).concat("x"), ts: now }),
      reason: "id-too-long",
      detail: /id has 65 bytes, at most 64/,
    },
    { what: "an empty id", payload: json({ id: "", ts: now }), reason: "id-unreadable", detail: /empty/ },
    {
      what: "a fraction as id",
      payload: json({ id: 1.5, ts: now }),
      reason: "id-unreadable",
      detail: /neither a string nor a whole number/,
    },
    { what: "no time", payload: json({ id: "1" }), reason: "event-time-unreadable", detail: /nothing at ts/ },
    {
      what: "a time without a zone",
      payload: json({ id: "1", ts: "2026-11-22T12:00:00" }),
      reason: "event-time-unreadable",
      detail: /RFC 3339/,
    },
    {
      what: "a time beyond the year 9999",
      payload: json({ id: "1", ts: 1e300 }),
      reason: "event-time-unreadable",
      detail: /years 1 to 9999/,
    },
    {
      what: "a value of another type than the topic's schema says",
      payload: json({ id: "1", ts: now, temperature: "hot" }),
      reason: "schema-violated",
      detail: /temperature/,
    },
    {
      what: "protobuf cut short",
      payload: envelope.subarray(0, -3),
      format: "envelope",
      reason: "payload-undecodable",
      detail: /./,
    },
    {
      what: "JSON instead of protobuf",
      payload: json({ id: "1", ts: now }),
      format: "envelope",
      reason: "payload-undecodable",
      detail: /./,
    },
    {
      what: "an envelope without an id",
      payload: Buffer.from([0x10, 1, 0x2a, 1, 7]),
      format: "envelope",
      reason: "id-missing",
      detail: /message_id is missing/,
    },
    {
      what: "an envelope whose id has 65 bytes",
      payload: Buffer.concat([Buffer.from([0x0a, 65]), Buffer.alloc(65, "i"), Buffer.from([0x10, 1])]),
      format: "envelope",
      reason: "id-too-long",
      detail: /message_id has 65 bytes, at most 64/,
    },
  ];
}
