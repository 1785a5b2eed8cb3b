import { type Lane, type LaneCommits, lanes, noCommits } from "../../bridge/lake/commit-log/lane-commits.ts";
import type { MetaDataAction } from "../../bridge/lake/delta/delta-actions.ts";
import type { StoreChange } from "../support/memory-object-store.ts";
import type { VersionChange } from "./live-record.ts";
import type { Violation } from "./violation.ts";

interface DeltaLine {
  readonly add?: { readonly path: string; readonly tags?: { readonly standsFor: string } };
  readonly remove?: { readonly path: string; readonly deletionTimestamp?: number };
  readonly txn?: { readonly appId: string; readonly version: number };
  readonly metaData?: MetaDataAction;
}

export interface TableVersion {
  /** By lane: the last commit that the table shows. */
  readonly shown: LaneCommits;
  /** All files of commits whose rows the table shows, in the file itself or in a replacement. */
  readonly files: ReadonlySet<string>;
  /** The files themselves. */
  readonly live: ReadonlySet<string>;
  /** Lanes whose transactions a checkpoint of another writer may lack. */
  readonly lost: ReadonlySet<Lane>;
}

export interface TableRecordOptions {
  readonly report: (rule: Violation["rule"], detail: string) => void;
  /** Whether a commit names the table file. */
  readonly isCommitted: (path: string) => boolean;
  readonly onVersion: (name: string, version: number, change: VersionChange) => void;
}

/** All versions of one Delta table, and at each change whether the newest can still be read. */
export class TableRecord {
  readonly versions: TableVersion[] = [];
  readonly #name: string;
  readonly #options: TableRecordOptions;
  readonly #report: TableRecordOptions["report"];
  readonly #present = new Set<number>();
  readonly #checkpoints = new Set<number>();
  /** Our files that a file of another writer replaced, by that file. */
  readonly #standsFor = new Map<string, readonly string[]>();
  /** By replaced file: when it was replaced, by the clock that stamps objects. */
  readonly #replacedAtMs = new Map<string, number>();
  #metaData: MetaDataAction | undefined;

  constructor(name: string, options: TableRecordOptions) {
    this.#name = name;
    this.#options = options;
    this.#report = options.report;
  }

  /** The newest. */
  get metaData(): MetaDataAction {
    if (!this.#metaData) throw new Error(`${this.#name} has no metadata`);
    return this.#metaData;
  }

  /** null = no file replaced it. */
  replacedAtMs(path: string): number | null {
    return this.#replacedAtMs.get(path) ?? null;
  }

  get shown(): LaneCommits {
    return this.versions.at(-1)?.shown ?? noCommits;
  }

  /** A checkpoint of the newest version is about to drop these transactions. */
  losing(lost: readonly Lane[]): void {
    const newest = this.versions.pop();
    if (newest) this.versions.push({ ...newest, lost: new Set([...newest.lost, ...lost]) });
  }

  /** @param version Version of the log file; NaN if it has none. */
  changed({ operation, path, bytes }: Omit<StoreChange, "modifiedAtMs">, version: number): void {
    if (Number.isNaN(version)) return;
    const isCheckpoint = path.endsWith(".parquet");
    if (operation === "deleted") {
      (isCheckpoint ? this.#checkpoints : this.#present).delete(version);
      this.#checkReadable(path);
    } else if (isCheckpoint) this.#checkpointWritten(version, bytes);
    else this.#entryWritten(operation, version, bytes);
  }

  #entryWritten(operation: StoreChange["operation"], version: number, bytes: Uint8Array): void {
    if (operation === "replaced") this.#report("torn", `entry ${version} of ${this.#name} was replaced`);
    if (version < this.versions.length) return;
    if (version > this.versions.length)
      this.#report("torn", `entry ${version} of ${this.#name} follows a hole`);
    this.#present.add(version);
    const files = new Set(this.versions.at(-1)?.files);
    const live = new Set(this.versions.at(-1)?.live);
    const added: string[] = [];
    const removed: string[] = [];
    const lost = new Set(this.versions.at(-1)?.lost);
    let { shown } = this;
    for (const { add, remove, txn, metaData } of linesOf(bytes)) {
      if (add) {
        if (add.tags) this.#standsFor.set(add.path, this.#ours(JSON.parse(add.tags.standsFor) as string[]));
        live.add(add.path);
        added.push(`${this.#name}/${add.path}`);
        for (const path of this.#ours([add.path])) files.add(path);
      }
      if (remove) {
        live.delete(remove.path);
        removed.push(`${this.#name}/${remove.path}`);
        this.#replacedAtMs.set(remove.path, remove.deletionTimestamp ?? 0);
        for (const path of this.#ours([remove.path])) files.delete(path);
      }
      if (txn) {
        shown = shownAfter(shown, txn);
        lost.delete(laneOf(txn) as Lane);
      }
      if (metaData) this.#metaData = metaData;
    }
    this.versions.push({ shown, files, live, lost });
    this.#options.onVersion(this.#name, version, { added, removed, transactions: shown });
  }

  #ours(paths: readonly string[]): string[] {
    return paths
      .flatMap((path) => this.#standsFor.get(path) ?? [path])
      .filter((path) => this.#options.isCommitted(`${this.#name}/${path}`));
  }

  #checkpointWritten(version: number, bytes: Uint8Array): void {
    this.#checkpoints.add(version);
    const wanted = this.versions[version];
    const lines = linesOf(bytes);
    const files = lines.flatMap(({ add }) => (add ? [add.path] : []));
    const shown = lines.reduce(
      (lanesSoFar, { txn }) => (txn ? shownAfter(lanesSoFar, txn) : lanesSoFar),
      noCommits,
    );
    const isLost = (lane: Lane) => shown[lane] === 0 && wanted?.lost.has(lane);
    const isRight =
      wanted &&
      lanes.every((lane) => shown[lane] === (isLost(lane) ? 0 : wanted.shown[lane])) &&
      files.length === wanted.live.size &&
      files.every((path) => wanted.live.has(path));
    if (!isRight) this.#report("torn", `checkpoint ${version} of ${this.#name} is not the table`);
  }

  #checkReadable(path: string): void {
    const newest = Math.max(-1, ...this.#checkpoints);
    for (let version = newest + 1; version < this.versions.length; version++)
      if (!this.#present.has(version))
        this.#report("torn", `${path} was deleted: entry ${version} of ${this.#name} is missing`);
  }
}

function shownAfter(shown: LaneCommits, txn: { appId: string; version: number }): LaneCommits {
  const name = laneOf(txn);
  return lanes.includes(name as Lane) ? { ...shown, [name]: txn.version } : shown;
}

/** The transaction without a lane's name is of the lane `direct`. */
function laneOf({ appId }: { appId: string }): string {
  return appId.split("/")[2] ?? "direct";
}

function linesOf(bytes: Uint8Array): DeltaLine[] {
  const lines = Buffer.from(bytes).toString().split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as DeltaLine);
}
