import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

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
}

interface LoggedFile {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
  readonly stats: string;
}

function sqlBytes(bytes: Uint8Array | null): string {
  return bytes === null ? "NULL" : `from_hex('${Buffer.from(bytes).toString("hex")}')`;
}

function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** One value in 2,000 is short enough for a statement. */
const rowsPerStatement = 2000;

/** A lake that a test writes by hand: Parquet by DuckDB, Delta logs as plain text, nothing of ours in between. */
export class AuditedLake {
  readonly folder: string;
  readonly #duckdb: DuckDBConnection;
  readonly #versions = new Map<string, number>();
  readonly #live = new Map<string, Map<string, LoggedFile>>();

  private constructor(folder: string, duckdb: DuckDBConnection) {
    this.folder = folder;
    this.#duckdb = duckdb;
  }

  static async create(folder: string): Promise<AuditedLake> {
    mkdirSync(folder, { recursive: true });
    const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    return new AuditedLake(folder, await instance.connect());
  }

  close(): void {
    this.#duckdb.closeSync();
  }

  /** Writes a data file that no log names yet. */
  async write(table: string, rows: readonly LakeRow[]): Promise<LoggedFile> {
    const path = `event_date=2026-11-22/event_hour=10/${randomUUID()}.parquet`;
    const file = join(this.folder, table, path);
    mkdirSync(join(file, ".."), { recursive: true });
    await this.#duckdb.run(`CREATE OR REPLACE TABLE rows (
      device_id VARCHAR, topic VARCHAR, message_id BLOB, event_time TIMESTAMPTZ, ingest_time TIMESTAMPTZ, payload BLOB,
      payload_crc INTEGER, event_time_outside BOOLEAN, _stream VARCHAR, _partition VARCHAR, _position VARCHAR, _index INTEGER, reason VARCHAR)`);
    for (let at = 0; at < rows.length; at += rowsPerStatement) {
      const values = rows
        .slice(at, at + rowsPerStatement)
        .map(
          (row, index) =>
            `(${[
              sqlText(row.deviceId),
              sqlText(row.topic),
              sqlBytes(row.messageId),
              `make_timestamptz(${Math.round(row.eventTimeMs * 1000)}::BIGINT)`,
              `make_timestamptz(${row.ingestTimeMs * 1000}::BIGINT)`,
              sqlBytes(row.payload),
              `0, false, 'stream', '0', '${String(at).padStart(20, "0")}', ${index}`,
              row.reason === undefined ? "NULL" : sqlText(row.reason),
            ].join(",")})`,
        );
      await this.#duckdb.run(`INSERT INTO rows VALUES ${values.join(",")}`);
    }
    const columns = table === "_quarantine" ? "*" : "* EXCLUDE (reason)";
    await this.#duckdb.run(
      `COPY (SELECT ${columns} FROM rows ORDER BY event_time) TO ${sqlText(file)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048)`,
    );
    const ingest = new Date(Math.max(0, ...rows.map((row) => row.ingestTimeMs))).toISOString();
    const { size, mtimeMs } = statSync(file);
    return {
      path,
      bytes: size,
      modifiedAtMs: Math.floor(mtimeMs),
      stats: JSON.stringify({ numRecords: rows.length, maxValues: { ingest_time: ingest } }),
    };
  }

  /** Writes the table's next log entry. */
  commit(
    table: string,
    change: { adds?: readonly LoggedFile[]; removes?: readonly string[]; dataChange?: boolean },
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
            partitionColumns: ["event_date", "event_hour"],
          },
        },
      );
    for (const path of change.removes ?? []) {
      live.delete(path);
      actions.push({ remove: { path: encodeURI(path), dataChange, deletionTimestamp: Date.now() } });
    }
    for (const file of change.adds ?? []) {
      live.set(file.path, file);
      actions.push({
        add: {
          path: encodeURI(file.path),
          partitionValues: { event_date: "2026-11-22", event_hour: "10" },
          size: file.bytes,
          modificationTime: file.modifiedAtMs,
          dataChange,
          stats: file.stats,
        },
      });
    }
    actions.push({ txn: { appId: "tidegate/test", version } });
    mkdirSync(join(this.folder, table, "_delta_log"), { recursive: true });
    writeFileSync(
      this.entryPath(table, version),
      actions.map((action) => `${JSON.stringify(action)}\n`).join(""),
    );
    this.#versions.set(table, version + 1);
    this.#live.set(table, live);
    return version;
  }

  /** Writes and commits in one go. */
  async add(table: string, rows: readonly LakeRow[]): Promise<LoggedFile> {
    const file = await this.write(table, rows);
    this.commit(table, { adds: [file] });
    return file;
  }

  /** Writes a checkpoint of the newest version, in one or more parts, and removes the entries up to it if asked. */
  async checkpoint(table: string, options: { parts: number; removeEntries: boolean }): Promise<void> {
    const version = (this.#versions.get(table) ?? 0) - 1;
    const adds = [...(this.#live.get(table)?.values() ?? [])].map(
      (file) =>
        `({'path': ${sqlText(encodeURI(file.path))}, 'partitionValues': MAP {'event_date': '2026-11-22', 'event_hour': '10'}, 'size': ${file.bytes}, 'modificationTime': ${file.modifiedAtMs}, 'dataChange': false, 'stats': ${sqlText(file.stats)}}, NULL)`,
    );
    const rows = ["(NULL, {'minReaderVersion': 1, 'minWriterVersion': 2})", ...adds];
    await this.#duckdb.run(
      `CREATE OR REPLACE TABLE checkpoint AS SELECT * FROM (VALUES ${rows.join(",")}) AS actions("add", "protocol")`,
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
