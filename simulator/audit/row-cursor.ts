import { crc32 } from "node:zlib";
import type { DecodedArray } from "hyparquet";
import type { TypedValues } from "../scenario/typed-values.ts";
import type { FileCheck } from "./file-check.ts";
import type { FiledRow } from "./filed-row.ts";
import type { RowGroup } from "./parquet-file.ts";
import type { RowPlace, RowPlaces } from "./row-places.ts";
import { payloadFaults, type TypedColumn, valueFaults } from "./typed-values.ts";

const hourMs = 3_600_000;
/** Event times outside [ingest time − 7 d, ingest time + 1 h] are flagged, and filed by their ingest time. */
const pastMaxMs = 7 * 24 * hourMs;
const aheadMaxMs = hourMs;

/** Columns of each table. */
const columns = [
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
const quarantineColumns = ["reason", "detail", "topic_id", "topic_version"];
/** Names with this first character are the gateway's; the schemas of topics define the others. */
const ownPrefix = "_";

export interface CursorContext {
  readonly file: string;
  readonly isQuarantine: boolean;
  readonly check: FileCheck;
  readonly places: RowPlaces;
  /** Typed columns that each version of the table's topics has. */
  readonly inEachVersion: ReadonlySet<string>;
}

/** One row of a row group at a time. Rows do not become objects, because there are millions of them. */
export class RowCursor implements FiledRow {
  readonly file: string;
  readonly isQuarantined: boolean;
  readonly #context: CursorContext;
  readonly #values: Readonly<Record<(typeof columns)[number], DecodedArray>>;
  readonly #typed: readonly TypedColumn[];
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
    this.isQuarantined = context.isQuarantine;
    this.#context = context;
    this.#values = values as Record<(typeof columns)[number], DecodedArray>;
    this.#reasons = values["reason"];
    this.#streamTime = values["_stream_time"];
    this.#typed = context.isQuarantine ? [] : typedColumns(values, context.inEachVersion);
  }

  moveTo(row: number): void {
    this.#row = row;
    this.#placeOfRow = undefined;
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
    return this.#context.check.finds(this.deviceId, this.eventTimeUs, timeUs);
  }

  addFaults(faults: string[], typed: TypedValues | null): void {
    const { payload } = this;
    if (Number.isNaN(this.place)) faults.push("it does not say where in the stream it stood");
    if (!payload) return;
    if (this.#typed.length > 0)
      faults.push(
        ...(typed
          ? valueFaults(typed, this.#typed, this.#row)
          : payloadFaults(payload, this.#typed, this.#row)),
      );
    const crc = this.#values.payload_crc[this.#row] as unknown;
    if (crc !== (crc32(payload) | 0)) faults.push(`payload_crc is ${String(crc)}, not that of the payload`);
    const flag = this.#values.event_time_outside[this.#row] as unknown;
    if (flag !== this.#isOutside(flag)) faults.push(`event_time_outside is ${String(flag)}`);
  }

  /** The correct value of the flag. */
  #isOutside(flag: unknown): boolean {
    const eventUs = Number(this.eventTimeUs);
    const ingestUs = Number(this.#values.ingest_time[this.#row]);
    // A row whose time cannot be read is filed by the ingest time.
    if (this.isQuarantined && eventUs === ingestUs) return flag === true;
    const [eventMs, ingestMs] = [Math.floor(eventUs / 1000), Math.floor(ingestUs / 1000)];
    return eventMs < ingestMs - pastMaxMs || eventMs > ingestMs + aheadMaxMs;
  }
}

/** The typed columns of the file, and those that the file should have. */
function typedColumns(values: RowGroup["values"], inEachVersion: ReadonlySet<string>): TypedColumn[] {
  const known = new Set<string>([...columns, ...quarantineColumns]);
  const names = Object.keys(values).filter((name) => !known.has(name) && !name.startsWith(ownPrefix));
  return [...new Set([...names, ...inEachVersion])].map((name) => ({
    name,
    key: Buffer.from(`${JSON.stringify(name)}:`),
    values: values[name] ?? [],
    isInEachVersion: inEachVersion.has(name),
  }));
}

function bytesOrNull(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? value : null;
}
