import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoggedFile } from "./logged-file.ts";

export const auditedLakeId = "lake";

/** The landing file of an entry that a test may change. */
export interface WrittenLanding {
  path: string;
  bytes: number;
  size: number;
  minStreamMs: number;
  maxStreamMs: number;
  rows: Record<string, [ordinal: number, rows: number][]>;
}

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

/** An entry that a test may change. */
export interface WrittenEntry {
  number: number;
  /** From format 5 on, by ordinal, instead of `tables`. */
  direct?: Record<string, WrittenAdd[]>;
  names?: Record<string, { key: string; name: string; version: number }>;
  landing?: WrittenLanding;
  upkeep?: { firstKept?: number; settled?: Record<string, number[]> };
  filesSince?: number;
  commitId: string;
  moves: Record<string, WrittenMove>;
  tables: Record<string, { adds: WrittenAdd[]; previousCommit: number }>;
}

interface WrittenTable {
  lastCommit?: number;
  ordinal?: number | null;
  last?: Record<string, number>;
  settled?: Record<string, number>;
}

export interface WrittenSnapshot {
  number: number;
  firstKept: number;
  moves: Record<string, WrittenMove>;
  past?: Record<string, { ranges: [number, number][] }>;
  tables: Record<string, WrittenTable>;
}

const partition = "stream/0";

function present<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("a test names a missing thing");
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
  /** By table: the last entry that landed rows of it, by lane. */
  readonly #landed = new Map<string, Record<string, number>>();
  /** By table, once the entries have format 5. */
  readonly #ordinals = new Map<string, number>();
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
    const rows = sumOf(files);
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

  /** Turns the entries from this one on into format 5. */
  numberTables(first = 1): void {
    for (let number = first; number <= this.#number; number++) {
      const { tables, ...others } = this.read(number);
      const direct: NonNullable<WrittenEntry["direct"]> = {};
      const names: NonNullable<WrittenEntry["names"]> = {};
      for (const [name, { adds }] of Object.entries(tables)) {
        const known = this.#ordinals.get(name);
        const ordinal = known ?? this.#ordinals.size + 1;
        this.#ordinals.set(name, ordinal);
        direct[ordinal] = adds;
        if (known === undefined) names[ordinal] = { key: name, name, version: 1 };
      }
      this.write(number, { ...others, format: 5, direct, names });
    }
  }

  /**
   * An entry of format 5 with a landing file, whose rows it gets by lane and table, and with table files.
   * Names tables that are new.
   */
  land(
    landing: Omit<WrittenLanding, "rows">,
    landed: Readonly<Record<string, Readonly<Record<string, number>>>>,
    files: Readonly<Record<string, readonly LoggedFile[]>> = {},
  ): number {
    const number = ++this.#number;
    const names: NonNullable<WrittenEntry["names"]> = {};
    const count = (table: string, rows: number) => {
      if (table === "_quarantine") this.#quarantined += rows;
      else this.#filed += rows;
      return this.#ordinalOf(table, names);
    };
    const rows: WrittenLanding["rows"] = {};
    for (const [lane, ofLane] of Object.entries(landed)) {
      const pairs = Object.entries(ofLane).map(([table, each]): [number, number] => {
        this.#landed.set(table, { ...this.#landed.get(table), [lane]: number });
        return [count(table, each), each];
      });
      rows[lane] = pairs.sort(([left], [right]) => left - right);
    }
    const direct: Record<string, unknown> = {};
    for (const [table, adds] of Object.entries(files)) {
      this.#lastOfTable.set(table, number);
      direct[count(table, sumOf(adds))] = adds.map((add) => ({ ...add, minIngestMs: 0, maxIngestMs: 0 }));
    }
    const committedAtMs = Date.UTC(2026, 10, 22, 10, 0, number);
    const head = { format: 5, number, commitId: `commit-${number}`, committedAtMs };
    const moves = { [partition]: this.#move(number) };
    this.write(number, { ...head, moves, direct, names, landing: { ...landing, rows } });
    return number;
  }

  #ordinalOf(table: string, names: NonNullable<WrittenEntry["names"]>): number {
    const known = table === "_quarantine" ? 0 : this.#ordinals.get(table);
    if (known !== undefined) return known;
    const ordinal = this.#ordinals.size + 1;
    this.#ordinals.set(table, ordinal);
    names[ordinal] = { key: table, name: table, version: 1 };
    return ordinal;
  }

  /** An entry without rows. */
  appendUpkeep(upkeep: object): void {
    const number = ++this.#number;
    const committedAtMs = Date.UTC(2026, 10, 22, 10, 0, number);
    this.write(number, {
      format: this.#ordinals.size > 0 ? 5 : 3,
      number,
      commitId: `commit-${number}`,
      committedAtMs,
      moves: {},
      ...(this.#ordinals.size === 0 && { tables: {} }),
      upkeep,
    });
  }

  /** The sum of all entries up to the newest. */
  snapshot(change: (snapshot: WrittenSnapshot) => unknown = () => {}): void {
    const { moves } = this.read(this.#number);
    const isNew = this.#ordinals.size > 0;
    const none = { direct: 0, even: 0, odd: 0, late: 0 };
    const tables = [...new Set([...this.#lastOfTable.keys(), ...this.#landed.keys()])].map((name) => {
      const ordinal = name === "_quarantine" ? 0 : (this.#ordinals.get(name) ?? null);
      const lastCommit = this.#lastOfTable.get(name) ?? 0;
      const last = { ...none, direct: lastCommit, ...this.#landed.get(name) };
      const lanes = { ordinal, last, settled: none };
      return [name, { name, version: 1, ...(isNew ? lanes : { lastCommit }) }];
    });
    const snapshot: WrittenSnapshot & { format: number } = {
      format: isNew ? 5 : 1,
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

function sumOf(files: readonly LoggedFile[]): number {
  return files.reduce((sum, file) => sum + file.rows, 0);
}
