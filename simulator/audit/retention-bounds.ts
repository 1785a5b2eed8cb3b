const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const quarantine = "_quarantine";
/** The shortest retention of a gateway. */
const retentionMinMs = dayMs;
/** How far this machine's clock may be behind those by which the gateway decides. */
const clockSkewMaxMs = hourMs;

/** What a table's log says of its retention. */
export interface RetainedTable {
  readonly name: string;
  /** By application id: the version of its last transaction. */
  readonly transactions: ReadonlyMap<string, number>;
  /** See `entryFaults`. */
  readonly retentionFaults: readonly string[];
}

/** The application id of the gateway's retention in a table's log. Its version is an event hour. */
const retentionAppId = /^tidegate\/([^/]+)\/retention$/;

/** The hour of a partition, in hours since the epoch; null if the values name none. */
export function partitionHour(values: Readonly<Record<string, string | null>>): number | null {
  const { event_date: date, event_hour: hour } = values;
  const hours = Date.parse(`${date}T00:00:00Z`) / hourMs + Number(hour ?? Number.NaN);
  return Number.isNaN(hours) ? null : hours;
}

/** The event hour that a transaction of retention says, of the lake or of any; undefined = there is none. */
export function retentionOf(
  transactions: ReadonlyMap<string, number>,
  lakeId: string | null,
): number | undefined {
  for (const [appId, hour] of transactions) {
    const [, id] = retentionAppId.exec(appId) ?? [];
    if (id !== undefined && (lakeId === null || id === lakeId)) return hour;
  }
  return undefined;
}

/** By table name: the event hour, in hours since the epoch, below which rows may be absent. */
export function retentionBounds(
  tables: ReadonlyMap<string, RetainedTable>,
  lakeId: string | null,
): ReadonlyMap<string, number> {
  const bounds = new Map<string, number>();
  for (const { name, transactions } of tables.values()) {
    const hour = retentionOf(transactions, lakeId);
    if (hour !== undefined) bounds.set(name, hour);
  }
  return bounds;
}

/** An entry of a table's log, before it is applied. */
export interface RetentionEntry {
  readonly table: string;
  readonly version: number;
  readonly before: ReadonlyMap<string, number>;
  readonly transactions: ReadonlyMap<string, number>;
  /** The files that it removes, as far as the table has them. */
  readonly removes: readonly {
    readonly path: string;
    readonly partitionValues: Readonly<Record<string, string | null>>;
    /** ms since the epoch; null = its statistics do not say. */
    readonly maxIngestMs: number | null;
  }[];
}

/**
 * Entries of retention that lower the bound, or that remove files which are not below it. Files of the quarantine
 * must be below by their ingest, too.
 */
export function entryFaults({ table, version, before, transactions, removes }: RetentionEntry): string[] {
  const hour = retentionOf(transactions, null);
  if (hour === undefined) return [];
  const former = retentionOf(before, null) ?? hour;
  const faults =
    hour < former ? [`version ${version}: its retention goes back from hour ${former} to ${hour}`] : [];
  for (const { path, partitionValues, maxIngestMs } of removes) {
    const ofFile = partitionHour(partitionValues);
    const isYoung = table === quarantine && !(maxIngestMs !== null && maxIngestMs < hour * hourMs);
    if (ofFile === null || ofFile >= hour || isYoung)
      faults.push(`version ${version}: retention up to hour ${hour} removes ${path}`);
  }
  return faults;
}

/** What is wrong with the retention of tables: their entries, and bounds that no retention allows by now. */
export function retentionFaults(
  tables: ReadonlyMap<string, RetainedTable>,
  lakeId: string | null,
  nowMs: number,
): string[] {
  const faults = [...tables.values()].flatMap(({ name, retentionFaults: ofTable }) =>
    ofTable.map((fault) => `table ${name}, ${fault}`),
  );
  const latest = (nowMs + clockSkewMaxMs - retentionMinMs) / hourMs;
  for (const [name, hour] of retentionBounds(tables, lakeId))
    if (hour > latest) faults.push(`table ${name}: its retention is at hour ${hour}, less than a day ago`);
  return faults;
}
