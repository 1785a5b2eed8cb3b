import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type BatchWriter, createParquetBatchWriter, openLocalStore } from "../../bridge/index.ts";
import { type Action, appendEntry, type LiveFile, type RecentLog } from "./foreign-log.ts";
import type { LakeAccess } from "./lake-access.ts";
import type { Strikable, Strike, StrikeEffect } from "./strikes.ts";

const engine = { engineInfo: "tidegate prove, foreign writer" };
/** Rows of a device that no fleet has. */
const foreignDevice = "foreign-device";
const appId = "foreign-writer";
const filesRewrittenMax = 4;
/** The first commit makes the first table. */
const firstTableTimeoutMs = 15_000;
const pollMs = 100;

export interface ForeignWriterOptions {
  readonly lake: LakeAccess;
  /** Tables to write to, in turn; those that do not exist yet are passed over. */
  readonly tables: readonly string[];
}

/** Another program that writes to the gateways' tables: appends rows of its own, changes metadata, replaces files as an optimizer does. */
export class ForeignWriter implements Strikable {
  readonly #options: ForeignWriterOptions;
  #entries = 0;

  constructor(options: ForeignWriterOptions) {
    this.#options = options;
  }

  async strike({ fault }: Pick<Strike, "fault">): Promise<StrikeEffect | null> {
    for (
      const endMs = performance.now() + firstTableTimeoutMs;
      performance.now() < endMs;
      await delay(pollMs)
    ) {
      const written = await this.#writeSomewhere(fault);
      if (written) return { detail: `version ${written.version} of ${written.table}` };
    }
    return { isInFlight: false, detail: "there was no table to write to" };
  }

  async #writeSomewhere(fault: Strike["fault"]): Promise<{ table: string; version: number } | null> {
    const { lake, tables } = this.#options;
    for (let turn = 0; turn < tables.length; turn++) {
      const table = tables[(this.#entries + turn) % tables.length] as string;
      const version = await appendEntry(lake, table, (log) => this.#actions(fault, table, log));
      if (version === null) continue;
      this.#entries++;
      return { table, version };
    }
    return null;
  }

  async #actions(fault: Strike["fault"], table: string, log: RecentLog): Promise<readonly Action[] | null> {
    switch (fault) {
      case "foreign-append":
        return [info("WRITE"), { txn: { appId, version: this.#entries + 1 } }, await this.#append(table)];
      case "foreign-metadata":
        return (
          log.metaData && [info("SET TBLPROPERTIES"), { metaData: described(log.metaData, this.#entries) }]
        );
      case "foreign-rewrite":
        return log.files.length === 0 ? null : [info("OPTIMIZE"), ...(await this.#rewrite(table, log.files))];
      default:
        throw new TypeError(`a foreign writer knows no ${fault}`);
    }
  }

  /** A file with one row. Its columns are those that every table has. */
  async #append(table: string): Promise<Action> {
    const folder = await mkdtemp(join(tmpdir(), "tidegate-foreign-"));
    try {
      const batch = createParquetBatchWriter({ store: await openLocalStore(folder), memoryLimitBytes });
      await batch.add({ ...topic, name: table }, foreignRow(Date.now()), []);
      const [written] = (await batch.write()).values();
      const file = written?.adds[0];
      if (!file) throw new Error("a row makes a file");
      await this.#options.lake.putIfAbsent(
        `${table}/${file.path}`,
        await readFile(join(folder, table, file.path)),
      );
      const partitionValues = { event_date: file.eventDate, event_hour: String(file.eventHour) };
      const { path, bytes, stats } = file;
      return {
        add: { path, partitionValues, size: bytes, stats, dataChange: true, modificationTime: Date.now() },
      };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** The same rows in new files: what was added last is what the gateways are most likely to be at. */
  async #rewrite(table: string, files: readonly LiveFile[]): Promise<Action[]> {
    const actions: Action[] = [];
    for (const file of files.slice(-filesRewrittenMax)) {
      const bytes = await this.#options.lake.get(`${table}/${decodeURIComponent(file.path)}`);
      if (!bytes) continue;
      const path = file.path.replace(/[^/]+$/, `foreign-${randomUUID()}.parquet`);
      await this.#options.lake.putIfAbsent(`${table}/${decodeURIComponent(path)}`, bytes);
      const times = { dataChange: false, deletionTimestamp: Date.now() };
      actions.push({ remove: { path: file.path, ...times } });
      actions.push({ add: { ...file, path, dataChange: false, modificationTime: Date.now() } });
    }
    return actions;
  }
}

const memoryLimitBytes = 64 * 1024 ** 2;

const topic = {
  topicId: "foreign",
  version: 1,
  format: "raw",
  idPath: "",
  timePath: "",
  schema: null,
  columns: [],
  dedupeWindowMs: 1_000,
} as const;

function foreignRow(nowMs: number): Parameters<BatchWriter["add"]>[1] {
  return {
    deviceId: foreignDevice,
    topicName: "foreign",
    messageId: null,
    eventTimeMs: nowMs,
    eventTimeMicros: 0,
    eventTimeOutside: false,
    ingestTimeMs: nowMs,
    streamTimeMs: nowMs,
    payload: Buffer.from("{}"),
    payloadCrc: 0,
    streamId: "foreign",
    partition: 0,
    position: "",
    index: 0,
  };
}

function info(operation: string): Action {
  return { commitInfo: { timestamp: Date.now(), operation, ...engine } };
}

function described(
  metaData: Readonly<Record<string, unknown>>,
  count: number,
): Readonly<Record<string, unknown>> {
  return { ...metaData, description: `described ${count} times by another writer` };
}
