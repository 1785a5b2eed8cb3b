import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { LakeAccess } from "../lake-access.ts";
import type { Strikable, Strike, StrikeEffect } from "../strike.ts";
import { foreignFile } from "./foreign-file.ts";
import {
  type Action,
  appendEntry,
  commitInfo,
  type LiveFile,
  type Protocol,
  type RecentLog,
} from "./foreign-log.ts";

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

/**
 * The files that an entry adds. They are kept while other entries come first, so that each new attempt makes
 * fewer calls.
 */
interface WrittenFiles {
  appended: Action | null;
  /** By the path of the file that was copied. */
  readonly copies: Map<string, string>;
}

/**
 * Another program that writes to the gateways' tables: it appends rows of its own, changes metadata, and
 * replaces files as an optimizer does.
 */
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
      const files: WrittenFiles = { appended: null, copies: new Map() };
      const version = await appendEntry(lake, table, (log) => this.#actions(fault, { table, log, files }));
      if (version === null) continue;
      this.#entries++;
      return { table, version };
    }
    return null;
  }

  async #actions(
    fault: Strike["fault"],
    { table, log, files }: { table: string; log: RecentLog; files: WrittenFiles },
  ): Promise<readonly Action[] | null> {
    switch (fault) {
      case "foreign-append":
        files.appended ??= await this.#append(table);
        return [commitInfo("WRITE"), { txn: { appId, version: this.#entries + 1 } }, files.appended];
      case "foreign-metadata":
        return [commitInfo("SET TBLPROPERTIES"), ...changedProperties(log, this.#entries)];
      case "foreign-rewrite":
        return log.files.length === 0
          ? null
          : [commitInfo("OPTIMIZE"), ...(await this.#rewrite(table, log.files, files.copies))];
      default:
        throw new TypeError(`a foreign writer knows no ${fault}`);
    }
  }

  async #append(table: string): Promise<Action> {
    const nowMs = Date.now();
    const { bytes, ...file } = await foreignFile(nowMs);
    await this.#options.lake.putIfAbsent(`${table}/${file.path}`, bytes);
    return { add: { ...file, size: bytes.length, dataChange: true, modificationTime: nowMs } };
  }

  /** The same rows in new files: what was added last is what the gateways are most likely to be at. */
  async #rewrite(table: string, files: readonly LiveFile[], copies: Map<string, string>): Promise<Action[]> {
    const actions: Action[] = [];
    for (const file of files.slice(-filesRewrittenMax)) {
      const path = copies.get(file.path) ?? (await this.#copy(table, file.path));
      if (path === null) continue;
      copies.set(file.path, path);
      const times = { dataChange: false, deletionTimestamp: Date.now() };
      actions.push({ remove: { path: file.path, ...times } });
      actions.push({ add: { ...file, path, dataChange: false, modificationTime: Date.now() } });
    }
    return actions;
  }

  /** Resolves with the path of the copy; null if the file does not exist any more. */
  async #copy(table: string, path: string): Promise<string | null> {
    const { lake } = this.#options;
    const bytes = await lake.get(`${table}/${decodeURIComponent(path)}`);
    if (!bytes) return null;
    const copy = path.replace(/[^/]+$/, `foreign-${randomUUID()}.parquet`);
    await lake.putIfAbsent(`${table}/${decodeURIComponent(copy)}`, bytes);
    return copy;
  }
}

/** From this writer version on tables may have a change data feed, by PROTOCOL.md. */
const changeDataWriter = 4;

/** Another description; and the change data feed, which asks nothing of an append, is switched on and off. */
function changedProperties({ metaData, protocol }: RecentLog, count: number): Action[] {
  const description = `described ${count} times by another writer`;
  const feed = { "delta.enableChangeDataFeed": String(count % 2 === 0) };
  const configuration = { ...metaData.configuration, ...feed };
  return [
    { protocol: writableBy(protocol, changeDataWriter) },
    { metaData: { ...metaData, description, configuration } },
  ];
}

/**
 * The protocol, for writers of that version at least. A table that lists features names them in another way,
 * and has none of these.
 */
export function writableBy(protocol: Protocol, minWriterVersion: number): Protocol {
  return { ...protocol, minWriterVersion: Math.max(protocol.minWriterVersion, minWriterVersion) };
}
