import { writeDecimal } from "./digits.ts";
import type { Document } from "./document.ts";
import type { PoisonKind } from "./faults.ts";
import type { MessageNames } from "./message-names.ts";
import { writeReading, writeSamples } from "./readings.ts";
import { layOutReadings, type ReadingsLayout } from "./readings-layout.ts";

const idHead = '{"id":"';
const idNameAt = 2;
const timeHead = '","ts":';
/** Digits of a time in ms from 2001 to 2286; earlier ones are set off with white space. */
const timeDigits = 13;
const comma = 0x2c;
const letterX = 0x78;

/** Shortest document that has an id and a time. */
export function jsonDocumentMinBytes(idBytes: number): number {
  return idHead.length + idBytes + timeHead.length + timeDigits + 1;
}

/** `{"id":"…","ts":…,"temperature":…}` of exactly `bytes` bytes. */
export class JsonDocument implements Document {
  readonly bytes: number;
  readonly idAt = idHead.length;
  readonly payloadStart = 0;
  readonly payloadBytes: number;
  readonly #seed: number;
  readonly #names: MessageNames;
  readonly #template: Uint8Array;
  readonly #layout: ReadingsLayout;
  readonly #readingsAt: number;
  readonly #timeNameAt: number;
  readonly #timeEnd: number;

  constructor(names: MessageNames, seed: number, bytes: number) {
    const head = idHead + " ".repeat(names.idBytes) + timeHead + " ".repeat(timeDigits);
    this.bytes = bytes;
    this.payloadBytes = bytes;
    this.#seed = seed;
    this.#names = names;
    this.#layout = layOutReadings(bytes - head.length - 1);
    this.#readingsAt = head.length;
    this.#timeNameAt = idHead.length + names.idBytes + timeHead.indexOf("t");
    this.#timeEnd = head.length;
    this.#template = Buffer.from(`${head}${this.#layout.text}}`, "latin1");
  }

  write(target: Uint8Array, start: number, device: number, sequence: number, eventTimeMs: number): void {
    target.set(this.#template, start);
    this.#names.writeId(target, start + idHead.length, device, sequence);
    const digits = eventTimeMs >= 1e12 ? timeDigits : String(eventTimeMs).length;
    writeDecimal(target, start + this.#timeEnd, digits, eventTimeMs);
    const at = start + this.#readingsAt;
    for (const reading of this.#layout.readings)
      writeReading(target, at, reading, this.#seed, device, sequence);
    if (this.#layout.samples) writeSamples(target, at, this.#layout.samples, this.#seed, device, sequence);
  }

  spoil(target: Uint8Array, start: number, kind: PoisonKind): void {
    const at = { broken: this.bytes - 1, anonymous: idNameAt, timeless: this.#timeNameAt }[kind];
    target[start + at] = kind === "broken" ? comma : letterX;
  }
}
