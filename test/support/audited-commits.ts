import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoggedFile } from "./logged-file.ts";

export const auditedLakeId = "lake";

export interface WrittenMove {
  from: string;
  to: string;
  counters: Record<
    "read" | "filed" | "quarantined" | "duplicates" | "resent" | "misrouted" | "unaccounted",
    number
  >;
  parents?: number[];
  commit?: number;
  previousCommit: number;
}

export interface WrittenAdd {
  path: string;
  bytes: number;
  rows: number;
  eventDate: string;
  eventHour: number;
}

/** An entry as a test may change it. */
export interface WrittenEntry {
  number: number;
  filesSince?: number;
  commitId: string;
  moves: Record<string, WrittenMove>;
  tables: Record<string, { adds: WrittenAdd[]; previousCommit: number }>;
}

export interface WrittenSnapshot {
  number: number;
  firstKept: number;
  moves: Record<string, WrittenMove>;
  past?: Record<string, { ranges: [number, number][] }>;
  tables: Record<string, { lastCommit: number }>;
}

const partition = "stream/0";

function present<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("a test names what is not there");
  return value;
}

export function moveOf({ moves }: Pick<WrittenEntry, "moves">): WrittenMove {
  return present(moves[partition]);
}

export function tableOf({ tables }: WrittenEntry, name: string) {
  return present(tables[name]);
}

export function addOf(entry: WrittenEntry, name: string): WrittenAdd {
  return present(tableOf(entry, name).adds[0]);
}

/** A commit log that a test writes by hand. One partition, one stream; the table's name is its topic's id. */
export class AuditedCommits {
  readonly #folder: string;
  readonly #lastOfTable = new Map<string, number>();
  #number = 0;
  #filed = 0;
  #quarantined = 0;

  constructor(lake: string) {
    this.#folder = join(lake, "_commits");
    mkdirSync(join(this.#folder, "snapshots"), { recursive: true });
    writeFileSync(join(this.#folder, "lake.json"), JSON.stringify({ format: 1, lakeId: auditedLakeId }));
  }

  get number(): number {
    return this.#number;
  }

  append(table: string, files: readonly LoggedFile[]): number {
    const number = ++this.#number;
    const rows = files.reduce((sum, file) => sum + file.rows, 0);
    if (table === "_quarantine") this.#quarantined += rows;
    else this.#filed += rows;
    this.write(number, {
      format: 1,
      number,
      commitId: `commit-${number}`,
      committedAtMs: Date.UTC(2026, 10, 22, 10, 0, number),
      moves: { [partition]: this.#move(number) },
      tables: {
        [table]: {
          name: table,
          version: 1,
          previousCommit: this.#lastOfTable.get(table) ?? 0,
          adds: files.map(({ path, bytes, rows: count, eventDate, eventHour, modifiedAtMs, stats }) => {
            return {
              path,
              eventDate,
              eventHour,
              bytes,
              rows: count,
              modifiedAtMs,
              minIngestMs: 0,
              maxIngestMs: 0,
              stats,
            };
          }),
        },
      },
    });
    this.#lastOfTable.set(table, number);
    return number;
  }

  /** An entry without rows. */
  appendUpkeep(upkeep: object): void {
    const number = ++this.#number;
    const committedAtMs = Date.UTC(2026, 10, 22, 10, 0, number);
    this.write(number, {
      format: 3,
      number,
      commitId: `commit-${number}`,
      committedAtMs,
      moves: {},
      tables: {},
      upkeep,
    });
  }

  /** What the entries up to the newest add up to. */
  snapshot(change: (snapshot: WrittenSnapshot) => unknown = () => {}): void {
    const { moves } = this.read(this.#number);
    const tables = [...this.#lastOfTable].map(([name, lastCommit]) => [
      name,
      { name, version: 1, lastCommit },
    ]);
    const snapshot: WrittenSnapshot & { format: number } = {
      format: 1,
      number: this.#number,
      firstKept: 1,
      moves,
      tables: Object.fromEntries(tables),
    };
    change(snapshot);
    writeFileSync(
      join(this.#folder, "snapshots", `${String(this.#number).padStart(20, "0")}.json`),
      JSON.stringify(snapshot),
    );
  }

  read(number: number): WrittenEntry {
    return JSON.parse(readFileSync(this.#path(number), "utf8"));
  }

  write(number: number, entry: unknown): void {
    writeFileSync(this.#path(number), typeof entry === "string" ? entry : JSON.stringify(entry));
  }

  change(number: number, change: (entry: WrittenEntry) => unknown): void {
    const entry = this.read(number);
    change(entry);
    this.write(number, entry);
  }

  remove(number: number): void {
    rmSync(this.#path(number));
  }

  #move(number: number) {
    const [filed, quarantined] = [this.#filed, this.#quarantined];
    const none = { duplicates: 0, resent: 0, misrouted: 0, unaccounted: 0 };
    return {
      from: number === 1 ? "" : String(number - 1),
      to: String(number),
      streamTimeMs: number,
      producers: {},
      counters: { ...none, read: filed + quarantined, filed, quarantined },
      commit: number,
      previousCommit: number - 1,
    };
  }

  #path(number: number): string {
    return join(this.#folder, `${String(number).padStart(20, "0")}.json`);
  }
}
