import { crc32 } from "node:zlib";
import type { DecodedArray } from "hyparquet";
import type { TypedValues } from "../scenario/typed-values.ts";
import type { FiledRow } from "./filed-row.ts";
import { mayBeFlagged } from "./outside-flag.ts";
import type { RowGroup } from "./parquet-file.ts";
import type { RowPlace, RowPlaces } from "./row-places.ts";
import type { EventTimeBounds } from "./topic-definitions.ts";

/** Columns of each file. */
export const columns = [
  "device_id",
  "topic",
  "message_id",
  "event_time",
  "ingest_time",
  "payload",
  "payload_crc",
  "event_time_outside",
  "_stream",
  "_partition",
  "_position",
  "_index",
] as const;

/** What a kind of file knows of its rows. `row`: number of the row in its group. */
export interface CursorContext {
  readonly file: string;
  readonly places: RowPlaces;
  tableOf(row: number): string;
  isQuarantined(row: number): boolean;
  /** False if queries do not find the row. `timeUs`: the time by which the row is filed. */
  finds(
    row: number,
    times: { readonly deviceId: unknown; readonly eventTimeUs: unknown; readonly timeUs: unknown },
  ): boolean;
  /** Bounds of event times by which the row may have been judged. */
  boundsOf(row: number): readonly EventTimeBounds[];
  /** For `typed`, see `FiledRow.addFaults`. */
  typedFaults(row: number, payload: Uint8Array, typed: TypedValues | null): readonly string[];
}

/** One row of a row group at a time. Rows do not become objects, because there are millions of them. */
export class RowCursor implements FiledRow {
  readonly file: string;
  readonly #context: CursorContext;
  readonly #values: Readonly<Record<(typeof columns)[number], DecodedArray>> & RowGroup["values"];
  /** undefined = a file of a table. */
  readonly #reasons: DecodedArray | undefined;
  /** undefined = a file of version 0.1.0. */
  readonly #streamTime: DecodedArray | undefined;
  #row = 0;
  #placeOfRow: RowPlace | undefined;

  /** Throws if the group lacks a column. */
  constructor({ values }: RowGroup, context: CursorContext) {
    const missing = columns.filter((column) => !values[column]);
    if (missing.length > 0) throw new Error(`it has no column ${missing.join(", ")}`);
    this.file = context.file;
    this.#context = context;
    this.#values = values as Record<(typeof columns)[number], DecodedArray>;
    this.#reasons = values["reason"];
    this.#streamTime = values["_stream_time"];
  }

  moveTo(row: number): void {
    this.#row = row;
    this.#placeOfRow = undefined;
  }

  get table(): string {
    return this.#context.tableOf(this.#row);
  }

  get isQuarantined(): boolean {
    return this.#context.isQuarantined(this.#row);
  }

  get isFaulty(): boolean {
    if (!this.isQuarantined) return false;
    const reason = String(this.#reasons?.[this.#row]);
    return reason !== "id-reused" && reason !== "exact-unsure";
  }

  get deviceId(): unknown {
    return this.#values.device_id[this.#row];
  }

  get topic(): unknown {
    return this.#values.topic[this.#row];
  }

  get messageId(): Uint8Array | null {
    return bytesOrNull(this.#values.message_id[this.#row]);
  }

  get eventTimeUs(): unknown {
    return this.#values.event_time[this.#row];
  }

  get payload(): Uint8Array | null {
    return bytesOrNull(this.#values.payload[this.#row]);
  }

  get place(): RowPlace {
    this.#placeOfRow ??= this.#readPlace();
    return this.#placeOfRow;
  }

  #readPlace(): RowPlace {
    const { _stream, _partition, _position, _index } = this.#values;
    const row = this.#row;
    return this.#context.places.place({
      stream: _stream[row],
      partition: _partition[row],
      position: _position[row],
      index: _index[row],
      timeUs: this.#streamTime?.[row],
    });
  }

  get isFound(): boolean {
    const { ingest_time, event_time_outside } = this.#values;
    const timeUs = event_time_outside[this.#row] === true ? ingest_time[this.#row] : this.eventTimeUs;
    const { deviceId, eventTimeUs } = this;
    return this.#context.finds(this.#row, { deviceId, eventTimeUs, timeUs });
  }

  addFaults(faults: string[], typed: TypedValues | null): void {
    const { payload } = this;
    if (Number.isNaN(this.place)) faults.push("it has no place in the stream");
    if (!payload) return;
    faults.push(...this.#context.typedFaults(this.#row, payload, typed));
    const crc = this.#values.payload_crc[this.#row] as unknown;
    if (crc !== (crc32(payload) | 0)) faults.push(`payload_crc is ${String(crc)}, not that of the payload`);
    const flag = this.#values.event_time_outside[this.#row] as unknown;
    if (!this.#mayHave(flag)) faults.push(`event_time_outside is ${String(flag)}`);
  }

  #mayHave(flag: unknown): boolean {
    const row = this.#row;
    const times = {
      eventUs: Number(this.eventTimeUs),
      ingestUs: Number(this.#values.ingest_time[row]),
    };
    // A row whose time cannot be read is filed by the ingest time.
    if (this.isQuarantined && times.eventUs === times.ingestUs) return flag === true;
    const { asOutside, asWithin } = mayBeFlagged(times, this.#context.boundsOf(row));
    return flag === true ? asOutside : flag === false && asWithin;
  }
}

function bytesOrNull(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? value : null;
}
