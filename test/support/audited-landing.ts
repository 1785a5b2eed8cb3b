import { randomUUID } from "node:crypto";
import type { WrittenLanding } from "./audited-commits.ts";
import { type AuditedLake, hourOf, type LakeRow, sqlText } from "./audited-lake.ts";
import type { LoggedFile } from "./logged-file.ts";

/** A row of a landing file. The defaults of the lane, the hour and the order are those of a right file. */
export interface LandedRow extends LakeRow {
  /** Name and id of its topic; a row with a `reason` belongs in `_quarantine`. */
  readonly table: string;
  readonly lane?: string;
  readonly hour?: number;
  /** `_values`; default: null. */
  readonly values?: string;
  readonly version?: number;
}

export interface LandOptions {
  /** Table files of the same commit, by table. */
  readonly direct?: Readonly<Record<string, readonly LoggedFile[]>>;
  /** SQL of the order of the rows. */
  readonly order?: string;
  /** SQL for columns, instead of the right ones; null leaves a column out. */
  readonly columns?: Readonly<Record<string, string | null>>;
  /** Changes what the entry says of the file. */
  readonly lie?: (landing: Omit<WrittenLanding, "rows">) => Omit<WrittenLanding, "rows">;
}

const hourMs = 3_600_000;

function laneOf(row: LandedRow): string {
  const hour = hourOf(row);
  if (row.ingestTimeMs - (hour + 1) * hourMs >= 60_000) return "late";
  return hour % 2 === 0 ? "even" : "odd";
}

const base =
  "device_id topic message_id event_time ingest_time payload payload_crc event_time_outside _stream _partition _position _index _stream_time";
const right: Readonly<Record<string, string>> = {
  topic_id: "g.topic_id",
  topic_version: "g.version",
  _lane: "g.lane",
  _hour: "g.hour",
  reason: "r.reason",
  detail: "r.reason",
  ...Object.fromEntries(base.split(" ").map((name) => [name, `r.${name}`])),
  _values: "g._values",
};

/** Writes the rows as a landing file, and an entry with it. Returns the number of the entry. */
export async function land(
  lake: AuditedLake,
  rows: readonly LandedRow[],
  { direct = {}, order, columns = {}, lie = (landing) => landing }: LandOptions = {},
): Promise<number> {
  const timed = rows.map((row) => ({ streamTimeMs: row.ingestTimeMs, ...row }));
  await lake.stage(timed);
  const counts: Record<string, Record<string, number>> = {};
  const groups = rows.map((row, at) => {
    const lane = laneOf(row);
    const table = row.reason === undefined ? row.table : "_quarantine";
    const ofLane = counts[lane] ?? {};
    counts[lane] = { ...ofLane, [table]: (ofLane[table] ?? 0) + 1 };
    const values = row.values === undefined ? "NULL" : sqlText(row.values);
    return `(${at}, ${sqlText(row.table)}, ${row.version ?? 1}, ${sqlText(row.lane ?? lane)}, ${row.hour ?? hourOf(row)}, ${values}::VARCHAR)`;
  });
  const selected = Object.entries({ ...right, ...columns }).flatMap(([name, sql]) =>
    sql === null ? [] : [`${sql} AS ${name}`],
  );
  const path = `_landing/${randomUUID()}.parquet`;
  const { bytes } = await lake.copy(
    `SELECT ${selected.join(", ")} FROM rows r JOIN (VALUES ${groups.join(",")}) AS g(place, topic_id, version, lane, hour, _values)
     ON g.place = r.rowid ORDER BY ${order ?? "r.reason IS NOT NULL, g.topic_id, g.hour, r.event_time"}`,
    path,
  );
  const streamTimes = timed.map(({ streamTimeMs }) => streamTimeMs);
  const said = lie({
    path,
    bytes,
    size: bytes,
    minStreamMs: Math.min(...streamTimes),
    maxStreamMs: Math.max(...streamTimes),
  });
  return lake.commits.land(said, counts, direct);
}
