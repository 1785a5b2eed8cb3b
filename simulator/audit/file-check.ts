import type { DecodedArray } from "hyparquet";
import type { DataFile } from "./delta-actions.ts";
import { boundFault, type FileStatistics, parseStatistics, readBound } from "./file-statistics.ts";
import type { RowGroup } from "./parquet-file.ts";
import { isBefore, joinRanges, type Ordered, rangeOf, type ValueRange } from "./value-range.ts";

const hourUs = 3_600_000_000;

/**
 * Checks one file against its entry in the table's log: partition values, row count, size, and each column's
 * bounds and null counts. Also checks the file's own bounds of its row groups. Readers skip files and row
 * groups by all of these.
 */
export class FileCheck {
  readonly #file: DataFile;
  readonly #statistics: FileStatistics | null;
  /** Hours since the epoch; NaN if the partition values are not valid. */
  readonly #hour: number;
  readonly #deviceBounds: readonly [min: unknown, max: unknown];
  readonly #timeBounds: readonly [min: Ordered | undefined, max: Ordered | undefined];
  readonly #ranges = new Map<string, ValueRange>();
  #rows = 0;
  #fault: string | null = null;

  constructor(file: DataFile) {
    this.#file = file;
    this.#statistics = parseStatistics(file.statistics);
    this.#hour = partitionHour(file.partitionValues);
    const bound = (name: string, which: "min" | "max") => this.#statistics?.[which][name];
    this.#deviceBounds = [bound("device_id", "min"), bound("device_id", "max")];
    this.#timeBounds = [readBound(bound("event_time", "min"), 0), readBound(bound("event_time", "max"), 0)];
  }

  /** Takes all rows of the next row group, including those of other runs. */
  takeGroup({ rows, values, bounds }: RowGroup): void {
    this.#rows += rows;
    for (const [name, column] of Object.entries(values)) {
      const range = rangeOf(column as DecodedArray);
      const ofGroup = bounds[name];
      const fault = ofGroup ? boundFault(range, ofGroup) : null;
      if (fault) this.#fault ??= `column ${name}, in the file's own statistics: ${fault}`;
      const before = this.#ranges.get(name);
      this.#ranges.set(name, before ? joinRanges(before, range) : range);
    }
  }

  /**
   * False if a query by date and hour, by device, or by event time does not find the row. `timeUs`: the event
   * time, or the ingest time of a row that is flagged as outside.
   */
  finds(deviceId: unknown, eventTimeUs: unknown, timeUs: unknown): boolean {
    return (
      Math.floor(Number(timeUs) / hourUs) === this.#hour &&
      isWithin(deviceId, this.#deviceBounds) &&
      isWithin(eventTimeUs, this.#timeBounds)
    );
  }

  /** The stream of all rows; null = they came from several or none. */
  get stream(): string | null {
    const { min, max } = this.#ranges.get("_stream") ?? {};
    return typeof min === "string" && min === max ? min : null;
  }

  /**
   * Call this after the last row group. Returns the fault of the log about the file, or null. `bytes`: the
   * true size.
   */
  fault(bytes: number): string | null {
    const { size, path, partitionValues } = this.#file;
    const { rows } = this.#statistics ?? {};
    if (size !== bytes) return `the log says ${size} bytes, it has ${bytes}`;
    if (rows !== undefined && rows !== this.#rows) return `the log says ${rows} rows, it has ${this.#rows}`;
    const folder = /(?:^|\/)event_date=([^/]*)\/event_hour=([^/]*)\//.exec(path);
    if (
      folder &&
      (folder[1] !== partitionValues["event_date"] || Number(folder[2]) !== hourOf(partitionValues))
    )
      return `its folder says ${folder[1]}, ${folder[2]}, the log ${JSON.stringify(partitionValues)}`;
    return this.#fault ?? this.#statisticsFault();
  }

  #statisticsFault(): string | null {
    if (!this.#statistics) return null;
    const { nulls, min, max } = this.#statistics;
    for (const name of new Set([...Object.keys(nulls), ...Object.keys(min), ...Object.keys(max)])) {
      // A column that the file lacks is null in each row.
      const range = this.#ranges.get(name) ?? { nulls: this.#rows, min: undefined, max: undefined };
      const said = nulls[name];
      if (typeof said === "number" && said !== range.nulls)
        return `column ${name}: the log says ${said} nulls, it has ${range.nulls}`;
      const fault = boundFault(range, { min: min[name], max: max[name] });
      if (fault) return `column ${name}: ${fault}`;
    }
    return null;
  }
}

function hourOf(values: DataFile["partitionValues"]): number {
  const hour = values["event_hour"];
  return typeof hour === "string" && /^\d{1,2}$/.test(hour) ? Number(hour) : Number.NaN;
}

function partitionHour(values: DataFile["partitionValues"]): number {
  return Date.parse(`${values["event_date"]}T00:00:00Z`) / 3_600_000 + hourOf(values);
}

function isWithin(value: unknown, [min, max]: readonly [unknown, unknown]): boolean {
  if (min === undefined || max === undefined) return true;
  const ordered = value as Ordered;
  return !isBefore(ordered, min as Ordered) && !isBefore(max as Ordered, ordered);
}
