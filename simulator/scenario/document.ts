import type { PoisonKind } from "./faults.ts";

/**
 * What one message of a run looks like as the payload of an MQTT PUBLISH. All documents of a run are equally long.
 * `write` puts a whole document at `start` of `target`; `spoil` makes poison of one that stands there.
 */
export interface Document {
  readonly bytes: number;
  /** Where the message's id begins. */
  readonly idAt: number;
  /** µs after the event time's whole ms: 0 to 999. Documents without it have whole ms. */
  eventMicros?(device: number, sequence: number): number;
  /** The part that must be filed as the row's payload: the whole document, or what the envelope holds. */
  readonly payloadStart: number;
  readonly payloadBytes: number;
  write(target: Uint8Array, start: number, device: number, sequence: number, eventTimeMs: number): void;
  spoil(target: Uint8Array, start: number, kind: PoisonKind): void;
}
