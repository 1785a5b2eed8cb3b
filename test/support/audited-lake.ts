import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { AuditedCommits, auditedLakeId } from "./audited-commits.ts";
import type { LoggedFile } from "./logged-file.ts";

/** One row of a table as a test wants it; `reason` makes it a row of `_quarantine`. */
export interface LakeRow {
  readonly deviceId: string;
  readonly topic: string;
  readonly messageId: Uint8Array | null;
  /** With a fraction if the time is to the µs. */
  readonly eventTimeMs: number;
  readonly ingestTimeMs: number;
  readonly payload: Uint8Array;
  readonly reason?: string;
  /** Number of the message in its partition; default: the next one. */
  readonly place?: number;
  /** Default: the value that follows from the other columns. */
  readonly payloadCrc?: number;
  readonly isOutside?: boolean;
  readonly partition?: string | null;
  readonly stream?: string;
  /** Default: none, as in files of version 0.1.0. */
  readonly streamTimeMs?: number;
  /** Values of typed columns, in SQL. */
  readonly typed?: Readonly<Partial<Record<TypedColumn, string>>>;
}

const typedColumns = {
  temperature: "DOUBLE",
  whole: "BIGINT",
  real: "DOUBLE",
  flag: "BOOLEAN",
  moment: "TIMESTAMPTZ",
  label: "VARCHAR",
} as const;
type TypedColumn = keyof typeof typedColumns;
const typedNames = Object.keys(typedColumns) as TypedColumn[];

const baseColumns = {
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
  temperature: "double",
  whole: "long",
  real: "double",
  flag: "boolean",
  moment: "timestamp",
  label: "string",
  reason: "string",
  event_date: "date",
  event_hour: "integer",
};
const fields = Object.entries(baseColumns).map(([name, type]) => ({
  name,
  type,
  nullable: true,
  metadata: {},
}));
const schema = {
  schemaString: JSON.stringify({ type: "struct", fields }),
  partitionColumns: ["event_date", "event_hour"],
};

const hourMs = 3_600_000;
const messagesPerBlock = 50;

export function isOutside({ eventTimeMs, ingestTimeMs, isOutside: said }: LakeRow): boolean {
  return said ?? (eventTimeMs < ingestTimeMs - 7 * 24 * hourMs || eventTimeMs > ingestTimeMs + hourMs);
}

/** Hours since the epoch. */
export function hourOf(row: LakeRow): number {
  return Math.floor((isOutside(row) ? row.ingestTimeMs : row.eventTimeMs) / hourMs);
}

function sqlBytes(bytes: Uint8Array | null): string {
  return bytes === null ? "NULL" : `from_hex('${Buffer.from(bytes).toString("hex")}')`;
}

export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** One value in 2,000 is short enough for a statement. */
const rowsPerStatement = 2000;

/** A lake that a test writes by hand: Parquet by DuckDB and Delta logs as plain text, without our code. */
export class AuditedLake {
  readonly folder: string;
  readonly #duckdb: DuckDBConnection;
  readonly #versions = new Map<string, number>();
  #places = 0;
  #commits: AuditedCommits | undefined;
  readonly #live = new Map<string, Map<string, LoggedFile>>();
  /** By table, and in it by application id. */
  readonly #transactions = new Map<string, Map<string, number>>();

  private constructor(folder: string, duckdb: DuckDBConnection) {
    this.folder = folder;
    this.#duckdb = duckdb;
  }

  static async create(folder: string): Promise<AuditedLake> {
    mkdirSync(folder, { recursive: true });
    const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    const duckdb = await instance.connect();
    await duckdb.run("SET TimeZone = 'UTC'");
    return new AuditedLake(folder, duckdb);
  }

  close(): void {
    this.#duckdb.closeSync();
  }

  /** Writes a data file without a log entry, into the folder of its first row's hour. */
  async write(table: string, rows: readonly LakeRow[]): Promise<LoggedFile> {
    const start = new Date(hourOf(rows[0] as LakeRow) * hourMs).toISOString();
    const [eventDate, eventHour] = [start.slice(0, 10), Number(start.slice(11, 13))];
    const path = `event_date=${eventDate}/event_hour=${String(eventHour).padStart(2, "0")}/${randomUUID()}.parquet`;
    await this.stage(rows);
    const without = [
      ...(table === "_quarantine" ? [] : ["reason"]),
      ...(rows.some(({ streamTimeMs }) => streamTimeMs !== undefined) ? [] : ["_stream_time"]),
      ...typedNames.filter((name) => !rows.some(({ typed }) => typed && name in typed)),
    ];
    const columns = without.length === 0 ? "*" : `* EXCLUDE (${without.join(", ")})`;
    const file = await this.copy(`SELECT ${columns} FROM rows ORDER BY event_time`, `${table}/${path}`);
    return { path, ...file, rows: rows.length, eventDate, eventHour, stats: await this.#statistics() };
  }

  /** Puts the rows into the table `rows` of the test's database; `rowid` is their number. */
  async stage(rows: readonly LakeRow[]): Promise<void> {
    await this.#duckdb.run(`CREATE OR REPLACE TABLE rows (
      device_id VARCHAR, topic VARCHAR, message_id BLOB, event_time TIMESTAMPTZ, ingest_time TIMESTAMPTZ, payload BLOB,
      payload_crc INTEGER, event_time_outside BOOLEAN, _stream VARCHAR, _partition VARCHAR, _position VARCHAR, _index INTEGER,
      _stream_time TIMESTAMPTZ,
      ${typedNames.map((name) => `${name} ${typedColumns[name]}`).join(", ")}, reason VARCHAR)`);
    for (let at = 0; at < rows.length; at += rowsPerStatement) {
      const values = rows.slice(at, at + rowsPerStatement).map((row) => this.#sqlRow(row));
      await this.#duckdb.run(`INSERT INTO rows VALUES ${values.join(",")}`);
    }
  }

  /** Writes a Parquet file. @param path Relative to the lake. */
  async copy(select: string, path: string): Promise<{ bytes: number; modifiedAtMs: number }> {
    const file = join(this.folder, path);
    mkdirSync(join(file, ".."), { recursive: true });
    await this.#duckdb.run(
      `COPY (${select}) TO ${sqlText(file)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048)`,
    );
    const { size, mtimeMs } = statSync(file);
    return { bytes: size, modifiedAtMs: Math.floor(mtimeMs) };
  }

  #sqlRow(row: LakeRow): string {
    const place = row.place ?? this.#places++;
    const values = [
      sqlText(row.deviceId),
      sqlText(row.topic),
      sqlBytes(row.messageId),
      `make_timestamptz(${Math.round(row.eventTimeMs * 1000)}::BIGINT)`,
      `make_timestamptz(${row.ingestTimeMs * 1000}::BIGINT)`,
      sqlBytes(row.payload),
      String(row.payloadCrc ?? crc32(row.payload) | 0),
      String(isOutside(row)),
      sqlText(row.stream ?? "stream"),
      row.partition === null ? "NULL" : sqlText(row.partition ?? "0"),
      sqlText(String(Math.floor(place / messagesPerBlock) + 1).padStart(20, "0")),
      String(place % messagesPerBlock),
      row.streamTimeMs === undefined ? "NULL" : `make_timestamptz(${row.streamTimeMs * 1000}::BIGINT)`,
      ...typedNames.map((name) => row.typed?.[name] ?? "NULL"),
      row.reason === undefined ? "NULL" : sqlText(row.reason),
    ];
    return `(${values.join(",")})`;
  }

  /** Statistics of the rows that were written last. */
  async #statistics(): Promise<string> {
    const time = (value: string) => `strftime(${value}, '%Y-%m-%dT%H:%M:%S.%gZ')`;
    // Milliseconds: an upper bound is rounded up.
    const bound = (of: string, column: string) =>
      time(of === "max" ? `max(${column}) + INTERVAL 999 MICROSECOND` : `min(${column})`);
    const bounds = (of: "min" | "max") =>
      `{device_id: ${of}(device_id), event_time: ${bound(of, "event_time")}, ingest_time: ${bound(of, "ingest_time")}, _index: ${of}(_index)}`;
    const result = await this.#duckdb.runAndReadAll(
      `SELECT to_json({numRecords: count(*), minValues: ${bounds("min")}, maxValues: ${bounds("max")},
        nullCount: {device_id: 0, message_id: count(*) - count(message_id)}})::VARCHAR FROM rows`,
    );
    return String(result.getRows()[0]?.[0]);
  }

  /** The schema of its tables. `types` replaces types by column; undefined leaves the column out. */
  static schemaWith(types: Readonly<Record<string, string | undefined>>): string {
    const changed = Object.entries({ ...baseColumns, ...types }).flatMap(([name, type]) =>
      type === undefined ? [] : [{ name, type, nullable: true, metadata: {} }],
    );
    return JSON.stringify({ type: "struct", fields: changed });
  }

  /** Adds a commit log. From then on, each `commit` of the gateway is an entry in it. */
  keepCommitLog(): void {
    this.#commits = new AuditedCommits(this.folder);
  }

  get commits(): AuditedCommits {
    if (!this.#commits) throw new Error("this lake keeps no commit log");
    return this.#commits;
  }

  /** Writes the table's next log entry. */
  commit(
    table: string,
    change: {
      adds?: readonly LoggedFile[];
      removes?: readonly string[];
      dataChange?: boolean;
      /** An entry of another writer, without a commit of ours. */
      isForeign?: boolean;
      /** A false schema of the table for the log. */
      metaData?: object;
      /** Number of the entry in the commit log that it shows; default: a new one. */
      shows?: number;
      /** By lane, instead: up to which entry it settles the table. */
      settles?: Readonly<Record<string, number>>;
    },
  ): number {
    const version = this.#versions.get(table) ?? 0;
    const live = this.#live.get(table) ?? new Map<string, LoggedFile>();
    const dataChange = change.dataChange ?? true;
    const actions: unknown[] = [{ commitInfo: { operation: "WRITE" } }];
    if (version === 0)
      actions.push(
        { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
        {
          metaData: {
            id: randomUUID(),
            format: { provider: "parquet" },
            ...schema,
          },
        },
      );
    if (change.metaData)
      actions.push({ metaData: { format: { provider: "parquet" }, ...schema, ...change.metaData } });
    for (const path of change.removes ?? []) {
      live.delete(path);
      actions.push({ remove: { path: encodeURI(path), dataChange, deletionTimestamp: Date.now() } });
    }
    for (const file of change.adds ?? []) {
      live.set(file.path, file);
      actions.push({
        add: {
          path: encodeURI(file.path),
          partitionValues: { event_date: file.eventDate, event_hour: String(file.eventHour) },
          size: file.bytes,
          modificationTime: file.modifiedAtMs,
          dataChange,
          stats: file.stats,
        },
      });
    }
    const shows = (lane: string, number: number) => {
      const appId = `tidegate/${auditedLakeId}${lane === "direct" ? "" : `/${lane}`}`;
      actions.push({ txn: { appId, version: number } });
      const transactions = this.#transactions.get(table) ?? new Map<string, number>();
      this.#transactions.set(table, transactions.set(appId, number));
    };
    for (const [lane, number] of Object.entries(change.settles ?? {})) shows(lane, number);
    if (!change.isForeign && !change.settles) {
      const number =
        change.shows ?? (this.#commits ? this.#commits.append(table, change.adds ?? []) : version + 1);
      shows("direct", number);
    }
    mkdirSync(join(this.folder, table, "_delta_log"), { recursive: true });
    writeFileSync(
      this.entryPath(table, version),
      actions.map((action) => `${JSON.stringify(action)}\n`).join(""),
    );
    this.#versions.set(table, version + 1);
    this.#live.set(table, live);
    return version;
  }

  /** Writes and commits a file for each hour. Returns the first. */
  async add(table: string, rows: readonly LakeRow[]): Promise<LoggedFile> {
    const hours = [...new Set(rows.map(hourOf))];
    const adds: LoggedFile[] = [];
    for (const hour of hours)
      adds.push(
        await this.write(
          table,
          rows.filter((row) => hourOf(row) === hour),
        ),
      );
    this.commit(table, { adds });
    return adds[0] as LoggedFile;
  }

  /**
   * Writes a checkpoint of the newest version, in one or more parts, and removes the entries up to it if
   * asked.
   */
  async checkpoint(table: string, options: { parts: number; removeEntries: boolean }): Promise<void> {
    const version = (this.#versions.get(table) ?? 0) - 1;
    const adds = [...(this.#live.get(table)?.values() ?? [])].map(
      (file) =>
        `({'path': ${sqlText(encodeURI(file.path))}, 'partitionValues': MAP {'event_date': ${sqlText(file.eventDate)}, 'event_hour': '${file.eventHour}'}, 'size': ${file.bytes}, 'modificationTime': ${file.modifiedAtMs}, 'dataChange': false, 'stats': ${sqlText(file.stats)}}, NULL, NULL, NULL)`,
    );
    const { schemaString, partitionColumns } = schema;
    const metaData = `{'schemaString': ${sqlText(schemaString)}, 'partitionColumns': [${partitionColumns.map(sqlText).join(", ")}]}`;
    const transactions = [...(this.#transactions.get(table) ?? [])].map(
      ([appId, number]) => `(NULL, NULL, NULL, {'appId': ${sqlText(appId)}, 'version': ${number}::BIGINT})`,
    );
    const rows = [
      "(NULL, {'minReaderVersion': 1, 'minWriterVersion': 2}, NULL, NULL)",
      `(NULL, NULL, ${metaData}, NULL)`,
      ...transactions,
      ...adds,
    ];
    await this.#duckdb.run(
      `CREATE OR REPLACE TABLE checkpoint AS SELECT * FROM (VALUES ${rows.join(",")}) AS actions("add", "protocol", "metaData", "txn")`,
    );
    const name = String(version).padStart(20, "0");
    for (let part = 0; part < options.parts; part++) {
      const suffix =
        options.parts === 1
          ? ""
          : `.${String(part + 1).padStart(10, "0")}.${String(options.parts).padStart(10, "0")}`;
      const file = join(this.folder, table, "_delta_log", `${name}.checkpoint${suffix}.parquet`);
      await this.#duckdb.run(
        `COPY (SELECT * FROM checkpoint WHERE rowid % ${options.parts} = ${part}) TO ${sqlText(file)} (FORMAT parquet)`,
      );
    }
    if (options.removeEntries)
      for (let entry = 0; entry <= version; entry++) rmSync(this.entryPath(table, entry));
  }

  entryPath(table: string, version: number): string {
    return join(this.folder, table, "_delta_log", `${String(version).padStart(20, "0")}.json`);
  }

  filePath(table: string, file: LoggedFile): string {
    return join(this.folder, table, file.path);
  }
}
