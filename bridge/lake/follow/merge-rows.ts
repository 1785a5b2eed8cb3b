import type { CommittedRow } from "./committed-rows.ts";
import { comparePlaces } from "./stream-order.ts";

interface Source {
  readonly slices: AsyncIterator<readonly CommittedRow[]>;
  rows: readonly CommittedRow[];
  at: number;
}

export interface MergeLimits {
  readonly rowsMax: number;
  readonly bytesMax: number;
}

/**
 * Merges rows of several sources, each in stream order, into one stream order. Yields slices of bounded size.
 */
export async function* mergeRows(
  sources: readonly AsyncIterable<readonly CommittedRow[]>[],
  limits: MergeLimits,
): AsyncGenerator<CommittedRow[]> {
  const all = sources.map((each): Source => ({ slices: each[Symbol.asyncIterator](), rows: [], at: 0 }));
  try {
    /** Sorted by their next row. */
    const open: Source[] = [];
    for (const source of all) if (await fill(source)) insert(open, source);
    let merged: CommittedRow[] = [];
    let bytes = 0;
    for (let source = open.shift(); source; source = open.shift()) {
      const row = source.rows[source.at++] as CommittedRow;
      merged.push(row);
      bytes += row.payload.length;
      if (source.at < source.rows.length || (await fill(source))) insert(open, source);
      if (merged.length < limits.rowsMax && bytes < limits.bytesMax) continue;
      yield merged;
      merged = [];
      bytes = 0;
    }
    if (merged.length > 0) yield merged;
  } finally {
    for (const { slices } of all) await slices.return?.();
  }
}

async function fill(source: Source): Promise<boolean> {
  source.at = 0;
  do {
    const { done, value } = await source.slices.next();
    if (done) return false;
    source.rows = value;
  } while (source.rows.length === 0);
  return true;
}

/** Searches from the front, because the next row mostly comes from the same source or its neighbour. */
function insert(open: Source[], source: Source): void {
  const row = source.rows[source.at] as CommittedRow;
  let at = 0;
  while (at < open.length && comparePlaces(nextOf(open[at] as Source), row) < 0) at++;
  open.splice(at, 0, source);
}

function nextOf({ rows, at }: Source): CommittedRow {
  return rows[at] as CommittedRow;
}
