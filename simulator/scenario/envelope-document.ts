import type { Document } from "./document.ts";
import type { PoisonKind } from "./faults.ts";
import type { MessageNames } from "./message-names.ts";
import { type Reading, writeReading, writeSamples } from "./readings.ts";
import { layOutReadings, type ReadingsLayout, wholeNumber } from "./readings-layout.ts";

/** Tags of telemetry-envelope.proto: field number × 8 + wire type (0 = varint, 2 = length-delimited). */
const tag = { messageId: 0x0a, eventTime: 0x10, contentType: 0x22, payload: 0x2a } as const;
/** Wire type 7 does not exist, so no reader can parse past it. */
const brokenTag = 0x0f;
/** Field 15 of telemetry-envelope.proto does not exist, so that readers skip it: the id is missing. */
const unknownTag = 0x7a;

/**
 * Bytes of a varint up to 2^42 ms, which is the year 2109; smaller ones are padded, which protobuf allows.
 */
const timeBytes = 6;

/** Shortest JSON object with a reading; below it the payload is a bare number. */
const objectMinBytes = '{"temperature":00.00}'.length;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

function bareNumber(bytes: number): ReadingsLayout {
  const readings: Reading[] = bytes > 0 ? [wholeNumber(0, bytes)] : [];
  return { text: "0".repeat(bytes), readings, samples: null };
}

/** `layOutReadings` with an opening brace in the place of the first comma. */
function object(bytes: number): ReadingsLayout {
  const layout = layOutReadings(bytes - 1);
  return { ...layout, text: `{${layout.text.slice(1)}}` };
}

/** A telemetry envelope around a JSON payload of exactly `payloadBytes` bytes. */
export class EnvelopeDocument implements Document {
  readonly bytes: number;
  readonly idAt = 2;
  readonly payloadStart: number;
  readonly payloadBytes: number;
  readonly #seed: number;
  readonly #names: MessageNames;
  readonly #template: Uint8Array;
  readonly #layout: ReadingsLayout;
  readonly #timeAt: number;

  constructor(names: MessageNames, seed: number, payloadBytes: number) {
    this.#seed = seed;
    this.#names = names;
    this.#layout = payloadBytes < objectMinBytes ? bareNumber(payloadBytes) : object(payloadBytes);
    const contentType = Buffer.from("application/json");
    const head = [
      ...[tag.messageId, names.idBytes, ...Buffer.alloc(names.idBytes)],
      ...[tag.eventTime, ...Buffer.alloc(timeBytes)],
      ...[tag.contentType, contentType.length, ...contentType],
      ...[tag.payload, ...varint(payloadBytes)],
    ];
    this.#timeAt = 2 + names.idBytes + 1;
    this.payloadStart = head.length;
    this.payloadBytes = payloadBytes;
    this.bytes = head.length + payloadBytes;
    this.#template = Buffer.concat([Buffer.from(head), Buffer.from(this.#layout.text, "latin1")]);
  }

  write(target: Uint8Array, start: number, device: number, sequence: number, eventTimeMs: number): void {
    target.set(this.#template, start);
    this.#names.writeId(target, start + this.idAt, device, sequence);
    let rest = eventTimeMs;
    for (let index = 0; index < timeBytes; index++) {
      const quotient = Math.floor(rest / 128);
      target[start + this.#timeAt + index] = rest - quotient * 128 + (index < timeBytes - 1 ? 0x80 : 0);
      rest = quotient;
    }
    const at = start + this.payloadStart;
    for (const reading of this.#layout.readings)
      writeReading(target, at, reading, this.#seed, device, sequence);
    if (this.#layout.samples) writeSamples(target, at, this.#layout.samples, this.#seed, device, sequence);
  }

  spoil(target: Uint8Array, start: number, kind: PoisonKind): void {
    target[start] = kind === "broken" ? brokenTag : unknownTag;
  }
}
