import type { DecodedArray } from "hyparquet";
import { boundFault } from "./file-statistics.ts";
import type { LandedLane } from "./lanes.ts";
import type { UnsettledLanding } from "./live-rows.ts";
import type { RowGroup } from "./parquet-file.ts";
import { quarantineTable } from "./table-file.ts";
import { isBefore, type Ordered, rangeOf } from "./value-range.ts";

const hourUs = 3_600_000_000;
/** After the end of its hour, a row is late from this time on. */
const lateAfterUs = 60_000_000;

/** Types by name. The columns of table files, and those that only landing files have. */
const types = {
  topic_id: "string",
  topic_version: "integer",
  _lane: "string",
  _hour: "integer",
  reason: "string",
  detail: "string",
  device_id: "string",
  topic: "string",
  message_id: "binary",
  event_time: "timestamp",
  ingest_time: "timestamp",
  payload: "binary",
  payload_crc: "integer",
  event_time_outside: "boolean",
  _stream: "string",
  _partition: "string",
  _position: "string",
  _index: "integer",
  _stream_time: "timestamp",
  _values: "string",
} as const;
export type LandingColumns = Readonly<Record<keyof typeof types, DecodedArray>>;

/** The columns of a row group. Throws if one is missing or has another type. */
export function landingColumns({ values, types: found }: RowGroup): LandingColumns {
  for (const [name, type] of Object.entries(types)) {
    if (!values[name]) throw new Error(`it has no column ${name}`);
    if (found[name] !== type) throw new Error(`its column ${name} is ${found[name]}, not ${type}`);
  }
  return values as LandingColumns;
}

/** Hours since the epoch: of the ingest time if the event time is outside of the limits. */
export function hourOf({ event_time, ingest_time, event_time_outside }: LandingColumns, row: number): number {
  return Math.floor(Number((event_time_outside[row] === true ? ingest_time : event_time)[row]) / hourUs);
}

function laneOf(hour: number, ingestUs: number): LandedLane {
  if (ingestUs >= (hour + 1) * hourUs + lateAfterUs) return "late";
  return Math.abs(hour) % 2 === 0 ? "even" : "odd";
}

type SortKey = readonly [isQuarantined: boolean, topicId: Ordered, hour: number, eventTime: Ordered];

/**
 * Checks one landing file against its entry and against the rule of lanes: size, rows by table and lane, lane
 * and hour of each row, the order of rows, stream times, and the file's own bounds of its row groups.
 */
export class LandingCheck {
  readonly #file: UnsettledLanding;
  /** Rows by table and lane, see `partOf`. */
  readonly #rows = new Map<string, number>();
  #last: SortKey | undefined;
  #count = 0;
  #fault: string | null = null;

  constructor(file: UnsettledLanding) {
    this.#file = file;
  }

  takeGroup(group: RowGroup): void {
    const columns = landingColumns(group);
    for (const [name, column] of Object.entries(group.values)) {
      const range = rangeOf(column);
      const ofGroup = group.bounds[name];
      const fault = ofGroup ? boundFault(range, ofGroup) : null;
      if (fault) this.#fault ??= `column ${name}, in the file's own statistics: ${fault}`;
      if (name === "_stream_time") this.#fault ??= this.#streamFault(range);
    }
    for (let row = 0; row < group.rows; row++) this.#takeRow(columns, row);
  }

  #takeRow(columns: LandingColumns, row: number): void {
    const { reason, topic_id, _lane, _hour, ingest_time, event_time } = columns;
    this.#count++;
    const part = partOf(keyOf(columns, row), String(_lane[row]));
    this.#rows.set(part, (this.#rows.get(part) ?? 0) + 1);
    const hour = hourOf(columns, row);
    const lane = laneOf(hour, Number(ingest_time[row]));
    if (_hour[row] !== hour)
      this.#fault ??= `row ${this.#count}: _hour is ${String(_hour[row])}, not ${hour}`;
    if (_lane[row] !== lane)
      this.#fault ??= `row ${this.#count}: _lane is ${String(_lane[row])}, not ${lane}`;
    const isQuarantined = isText(reason[row]);
    const next: SortKey = [isQuarantined, topic_id[row], _hour[row], event_time[row]];
    if (this.#last && isSortedBefore(next, this.#last))
      this.#fault ??= `row ${this.#count} stands after a row that it comes before`;
    this.#last = next;
  }

  #streamFault({ min, max }: { readonly min: unknown; readonly max: unknown }): string | null {
    const { commit, landing } = this.#file;
    const { minStreamMs, maxStreamMs } = landing;
    // The file has whole milliseconds.
    const [first, last] = [Math.floor(minStreamMs) * 1000, Math.ceil(maxStreamMs) * 1000];
    if (Number(min) >= first && Number(max) <= last) return null;
    return `commit ${commit} says stream times from ${minStreamMs} to ${maxStreamMs} ms, it has ${Number(min) / 1000} to ${Number(max) / 1000}`;
  }

  /** Call this after the last row group. `bytes`: the true size. */
  fault(bytes: number): string | null {
    const { landing, landed, commit } = this.#file;
    if (landing.bytes !== bytes) return `commit ${commit} says ${landing.bytes} bytes, it has ${bytes}`;
    // A wrong lane of a row makes the counts wrong as well, and says more.
    if (this.#fault !== null) return this.#fault;
    const rest = new Map(this.#rows);
    for (const { key, name, lane, rows } of landed) {
      const found = rest.get(partOf(key, lane)) ?? 0;
      if (found !== rows)
        return `commit ${commit} says ${rows} rows of ${name} in lane ${lane}, it has ${found}`;
      rest.delete(partOf(key, lane));
    }
    for (const [part, found] of rest) return `commit ${commit} says no rows of ${part}, it has ${found}`;
    return null;
  }
}

/** Topic id of the table to which a row belongs, or `_quarantine`. */
export function keyOf({ reason, topic_id }: LandingColumns, row: number): string {
  return isText(reason[row]) ? quarantineTable : String(topic_id[row]);
}

export function partOf(key: string, lane: string): string {
  return `${key} in lane ${lane}`;
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isSortedBefore(left: SortKey, right: SortKey): boolean {
  for (const [at, value] of left.entries()) {
    const other = right[at] as Ordered;
    if (isBefore(value, other)) return true;
    if (isBefore(other, value)) return false;
  }
  return false;
}
