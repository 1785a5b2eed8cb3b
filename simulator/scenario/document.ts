import type { PoisonKind } from "./faults.ts";

/**
 * The payload of one message of a run, as an MQTT PUBLISH carries it. All documents of a run are equally
 * long. `write` puts a whole document at `start` of `target`; `spoil` turns the document there into poison.
 */
export interface Document {
  readonly bytes: number;
  /** Where the message's id begins. */
  readonly idAt: number;
  /** µs after the event time's whole ms: 0 to 999. Documents without it have whole ms. */
  eventMicros?(device: number, sequence: number): number;
  /** The part that must be filed as the row's payload: the whole document, or the envelope's payload. */
  readonly payloadStart: number;
  readonly payloadBytes: number;
  write(target: Uint8Array, start: number, device: number, sequence: number, eventTimeMs: number): void;
  spoil(target: Uint8Array, start: number, kind: PoisonKind): void;
}
