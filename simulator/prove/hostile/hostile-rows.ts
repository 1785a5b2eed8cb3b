import { setTimeout as delay } from "node:timers/promises";
import type { LakeAccess } from "../lake-access.ts";
import { hostileDevices, provedTables } from "../proof-topics.ts";
import type { HostileBook, HostileRows } from "./hostile-book.ts";

export interface HostileRowsOptions {
  readonly lake: LakeAccess;
  /** Over the lake's tables. */
  readonly query: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** How long it may take until all is filed. */
  readonly waitMs: number;
}

const pollMs = 1_000;

/**
 * Rows of hostile messages by their topic name. They are read again until each acknowledged message has a
 * row, or until the time is over.
 */
export async function hostileRows(
  book: HostileBook,
  options: HostileRowsOptions,
): Promise<ReadonlyMap<string, HostileRows>> {
  for (const endMs = performance.now() + options.waitMs; ; await delay(pollMs)) {
    const rows = await readRows(options);
    if (book.isFiled(rows) || performance.now() > endMs) return rows;
  }
}

async function readRows({ lake, query }: HostileRowsOptions): Promise<ReadonlyMap<string, HostileRows>> {
  const rows = new Map<string, HostileRows>();
  const tables: string[] = [];
  for (const table of provedTables)
    if ((await lake.list(`${table}/_delta_log/`, 1)).length > 0) tables.push(table);
  if (tables.length === 0) return rows;
  for (const { isQuarantined, topic, count } of await query(tables.map(countSql).join(" UNION ALL "))) {
    const { filed, quarantined } = rows.get(String(topic)) ?? { filed: 0, quarantined: 0 };
    rows.set(String(topic), {
      filed: filed + (isQuarantined ? 0 : Number(count)),
      quarantined: quarantined + (isQuarantined ? Number(count) : 0),
    });
  }
  return rows;
}

function countSql(table: string): string {
  const isHostile = `starts_with(topic, 'hostile/') OR starts_with(topic, 'prove/${hostileDevices}')`;
  return `SELECT ${table === "_quarantine"} AS "isQuarantined", topic, count(*) AS "count" FROM "${table}" WHERE ${isHostile} GROUP BY topic`;
}
