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

/** Which files are expired. Hours since the epoch. */
export interface FileBound {
  /** The event hour is below it. */
  readonly belowHour: number;
  /** The hour of the newest ingest time is below it, too; undefined = the ingest time does not matter. */
  readonly ingestBelowHour?: number;
}

/** The file as an expired one; null if it is not below the bound, or does not say its ingest times. */
export function expiredFile(add: AddAction, { belowHour, ingestBelowHour }: FileBound): ExpiredFile | null {
  const { path, partitionValues, size, deletionVector } = add;
  const hour = partitionHour(partitionValues);
  if (hour === null || hour >= belowHour) return null;
  if (ingestBelowHour !== undefined && !((ingestHour(add) ?? ingestBelowHour) < ingestBelowHour)) return null;
  return { path, partitionValues, size, hour, rows: rowsOf(add), ...(deletionVector && { deletionVector }) };
}

/** The hour of the newest ingest time, in hours since the epoch; null = the statistics do not say. */
function ingestHour({ stats }: AddAction): number | null {
  if (!stats?.includes('"ingest_time"')) return null;
  try {
    const { maxValues } = JSON.parse(stats) as { maxValues?: { ingest_time?: unknown } };
    const newestMs = Date.parse(String(maxValues?.ingest_time));
    return Number.isNaN(newestMs) ? null : Math.floor(newestMs / hourMs);
  } catch {
    return null;
  }
}

/** The event hour is below the bound, and only missing statistics keep the file. */
function isUndated(add: AddAction, { belowHour, ingestBelowHour }: FileBound): boolean {
  const hour = partitionHour(add.partitionValues);
  return ingestBelowHour !== undefined && hour !== null && hour < belowHour && ingestHour(add) === null;
}

export interface ExpiredFiles {
  /** Of the oldest hours. Ascending by hour; whole hours, unless one has more files than asked for. */
  readonly files: readonly ExpiredFile[];
  /** More files are below the bound. */
  readonly hasMore: boolean;
  /** The path of a file that stays because its statistics do not say its ingest times. */
  readonly undated: string | null;
}

/**
 * The files of a table that are below the bound, the oldest ones first and at most `filesMax`. A table may
 * have a million files: they are visited, and visited once more if too many are below the bound.
 */
export async function expiredFiles(
  table: Pick<DeltaTable, "eachLive">,
  bound: FileBound,
  filesMax: number,
): Promise<ExpiredFiles> {
  const all = new Map<string, ExpiredFile>();
  const filesOfHour = new Map<number, number>();
  let undated: string | null = null;
  await table.eachLive((add) => {
    const file = expiredFile(add, bound);
    if (file === null && isUndated(add, bound)) undated = decodePath(add.path);
    if (file === null) return;
    filesOfHour.set(file.hour, (filesOfHour.get(file.hour) ?? 0) + 1);
    if (all.size <= filesMax) all.set(decodePath(add.path), file);
  }, dateOf(bound.belowHour));
  if (all.size <= filesMax) return { files: byHour(all), hasMore: false, undated };
  const upTo = lastHour(filesOfHour, filesMax);
  all.clear();
  await table.eachLive((add) => {
    const file = expiredFile(add, { ...bound, belowHour: upTo + 1 });
    if (file !== null && all.size < filesMax) all.set(decodePath(add.path), file);
  }, dateOf(upTo));
  return { files: byHour(all), hasMore: true, undated };
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
