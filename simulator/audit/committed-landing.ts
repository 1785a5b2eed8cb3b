import { number, record, string } from "./json-fields.ts";
import { type LandedLane, landedLanes } from "./lanes.ts";

/** The landing file of a commit, as its entry describes it. */
export interface CommittedLanding {
  /** Relative to the lake: `_landing/<name>.parquet`. */
  readonly path: string;
  readonly bytes: number;
  /** Smallest and largest stream time of its rows, ms. */
  readonly minStreamMs: number;
  readonly maxStreamMs: number;
  /** By lane, and in it by the ordinal of a table: the number of rows. */
  readonly rows: ReadonlyMap<LandedLane, ReadonlyMap<number, number>>;
}

const pathPattern = /^_landing\/[^/]+\.parquet$/;

/** Throws the fault. */
export function parseLanding(value: unknown): CommittedLanding {
  const landing = record(value, "landing");
  const path = string(landing["path"], "path");
  if (!pathPattern.test(path)) throw new Error(`landing has the path ${path}`);
  const ofLanes = Object.entries(record(landing["rows"], "rows"));
  if (ofLanes.length === 0) throw new Error(`${path} has no rows`);
  return {
    path,
    bytes: number(landing["bytes"], "bytes"),
    minStreamMs: number(landing["minStreamMs"], "minStreamMs"),
    maxStreamMs: number(landing["maxStreamMs"], "maxStreamMs"),
    rows: new Map(ofLanes.map(([lane, rows]) => [parseLane(lane), parseRows(lane, rows)])),
  };
}

function parseLane(name: string): LandedLane {
  const lane = landedLanes.find((each) => each === name);
  if (!lane) throw new Error(`landing has the lane ${name}`);
  return lane;
}

/** Pairs of ordinal and number of rows; the ordinals rise. */
function parseRows(lane: string, value: unknown): ReadonlyMap<number, number> {
  if (!Array.isArray(value) || value.length === 0) throw new Error(`lane ${lane} is not a list of tables`);
  const found = new Map<number, number>();
  let last = -1;
  for (const pair of value) {
    if (!Array.isArray(pair) || pair.length !== 2)
      throw new Error(`lane ${lane} has a table that is no pair`);
    const [ordinal, rows] = [number(pair[0], "an ordinal"), number(pair[1], "a number of rows")];
    if (!Number.isSafeInteger(ordinal) || ordinal <= last)
      throw new Error(`lane ${lane} has table ${ordinal} after table ${last}`);
    if (!Number.isSafeInteger(rows) || rows < 1)
      throw new Error(`lane ${lane} has ${rows} rows of table ${ordinal}`);
    found.set(ordinal, rows);
    last = ordinal;
  }
  return found;
}
