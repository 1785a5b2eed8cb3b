import type { Document } from "./document.ts";
import type { PoisonKind } from "./faults.ts";
import type { MessageNames } from "./message-names.ts";
import { eventMicrosOf, type TypedColumnName, typedColumns, typedValuesOf } from "./typed-values.ts";

/** Room for the longest text of each value; shorter ones are followed by white space. */
const widths: Readonly<Record<TypedColumnName, number>> = {
  whole: "-9223372036854775808".length,
  real: 26,
  flag: "false".length,
  moment: '"2026-11-28T12:00:00.123456789+05:30"'.length,
  label: 64,
};
const timeText = "2026-11-28T12:00:00.123456Z";
const idHead = '{"id":"';
const timeHead = '","ts":"';
const idNameAt = 2;
const timeNameAt = timeHead.indexOf("t");
const comma = 0x2c;
const letterX = 0x78;

/**
 * `{"id":"…","ts":"…","whole":…,"real":…,"flag":…,"moment":…,"label":…}`: an event time to the µs, and a
 * value for each column type.
 */
export class TypedDocument implements Document {
  readonly bytes: number;
  readonly idAt = idHead.length;
  readonly payloadStart = 0;
  readonly payloadBytes: number;
  readonly #seed: number;
  readonly #names: MessageNames;
  readonly #template: Buffer;
  readonly #timeAt: number;
  readonly #valueAt: Readonly<Record<TypedColumnName, number>>;

  constructor(names: MessageNames, seed: number) {
    this.#seed = seed;
    this.#names = names;
    let text = idHead + " ".repeat(names.idBytes) + timeHead + timeText.replaceAll(/./g, " ");
    this.#timeAt = text.length - timeText.length;
    text += '"';
    const valueAt: Partial<Record<TypedColumnName, number>> = {};
    for (const column of typedColumns) {
      text += `,"${column}":`;
      valueAt[column] = text.length;
      text += " ".repeat(widths[column]);
    }
    this.#valueAt = valueAt as Record<TypedColumnName, number>;
    this.#template = Buffer.from(`${text}}`, "latin1");
    this.bytes = this.#template.length;
    this.payloadBytes = this.bytes;
  }

  /** µs after the event time's whole ms. */
  eventMicros(device: number, sequence: number): number {
    return eventMicrosOf(this.#seed, device, sequence);
  }

  write(target: Uint8Array, start: number, device: number, sequence: number, eventTimeMs: number): void {
    target.set(this.#template, start);
    this.#names.writeId(target, start + idHead.length, device, sequence);
    const micros = String(this.eventMicros(device, sequence)).padStart(3, "0");
    writeAscii(target, start + this.#timeAt, `${new Date(eventTimeMs).toISOString().slice(0, -1)}${micros}Z`);
    const values = typedValuesOf(this.#seed, device, sequence);
    for (const column of typedColumns) writeAscii(target, start + this.#valueAt[column], values[column].json);
  }

  spoil(target: Uint8Array, start: number, kind: PoisonKind): void {
    const timeless = idHead.length + this.#names.idBytes + timeNameAt;
    const at = { broken: this.bytes - 1, anonymous: idNameAt, timeless }[kind];
    target[start + at] = kind === "broken" ? comma : letterX;
  }
}

function writeAscii(target: Uint8Array, start: number, text: string): void {
  for (let at = 0; at < text.length; at++) target[start + at] = text.charCodeAt(at);
}
