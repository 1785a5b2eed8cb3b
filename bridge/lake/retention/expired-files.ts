import { type AddAction, decodePath } from "../delta/delta-actions.ts";
import type { DeltaTable } from "../delta/delta-table.ts";

const hourMs = 3_600_000;

/** A file that the table shows and whose hour is below the bound. */
export interface ExpiredFile extends Pick<AddAction, "path" | "partitionValues" | "size" | "deletionVector"> {
  /** Hours since the epoch. */
  readonly hour: number;
  /** By its statistics; 0 = they do not say. */
  readonly rows: number;
}

/**
 * The hour of a partition, in hours since the epoch; null if the values name none, which is no hour of ours.
 */
export function partitionHour(values: AddAction["partitionValues"]): number | null {
  const { event_date: date, event_hour: hour } = values;
  if (!date || !/^\d{4}-\d{2}-\d{2}$/.test(date) || !hour || !/^\d{1,2}$/.test(hour)) return null;
  const dayStartMs = Date.parse(`${date}T00:00:00Z`);
  return Number.isNaN(dayStartMs) || Number(hour) > 23 ? null : dayStartMs / hourMs + Number(hour);
}

/** The file as an expired one; null if its hour is not below the bound. */
export function expiredFile(add: AddAction, belowHour: number): ExpiredFile | null {
  const { path, partitionValues, size, deletionVector } = add;
  const hour = partitionHour(partitionValues);
  if (hour === null || hour >= belowHour) return null;
  return { path, partitionValues, size, hour, rows: rowsOf(add), ...(deletionVector && { deletionVector }) };
}

export interface ExpiredFiles {
  /** Of the oldest hours. Ascending by hour; whole hours, unless one has more files than asked for. */
  readonly files: readonly ExpiredFile[];
  /** More files are below the bound. */
  readonly hasMore: boolean;
}

/**
 * The files of a table whose hours are below the bound, the oldest ones first and at most `filesMax`. A table may
 * have a million files: they are visited, and visited once more if too many are below the bound.
 */
export async function expiredFiles(
  table: Pick<DeltaTable, "eachLive">,
  belowHour: number,
  filesMax: number,
): Promise<ExpiredFiles> {
  const all = new Map<string, ExpiredFile>();
  const filesOfHour = new Map<number, number>();
  await table.eachLive((add) => {
    const file = expiredFile(add, belowHour);
    if (file === null) return;
    filesOfHour.set(file.hour, (filesOfHour.get(file.hour) ?? 0) + 1);
    if (all.size <= filesMax) all.set(decodePath(add.path), file);
  }, dateOf(belowHour));
  if (all.size <= filesMax) return { files: byHour(all), hasMore: false };
  const upTo = lastHour(filesOfHour, filesMax);
  all.clear();
  await table.eachLive((add) => {
    const file = expiredFile(add, upTo + 1);
    if (file !== null && all.size < filesMax) all.set(decodePath(add.path), file);
  }, dateOf(upTo));
  return { files: byHour(all), hasMore: true };
}

function dateOf(hour: number): string {
  return new Date(hour * hourMs).toISOString().slice(0, 10);
}

function byHour(files: ReadonlyMap<string, ExpiredFile>): ExpiredFile[] {
  return [...files.values()].sort((left, right) => left.hour - right.hour);
}

/** The last of the oldest hours that together have at most so many files; the first one in any case. */
function lastHour(filesOfHour: ReadonlyMap<number, number>, filesMax: number): number {
  const hours = [...filesOfHour].sort(([left], [right]) => left - right);
  let [sum, last] = [0, hours[0]?.[0] ?? 0];
  for (const [hour, files] of hours) {
    sum += files;
    if (sum > filesMax) break;
    last = hour;
  }
  return last;
}

function rowsOf({ stats }: AddAction): number {
  const [, rows] = /"numRecords"\s*:\s*(\d+)/.exec(stats ?? "") ?? [];
  return Number(rows ?? 0);
}
