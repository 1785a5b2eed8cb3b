import assert from "node:assert/strict";
import type { LakeState } from "./commit-log.ts";
import { deleteInOrder } from "./delete-objects.ts";
import {
  encodeJson,
  type LakeSnapshot,
  numberOfPath,
  parseSnapshot,
  SNAPSHOTS_PREFIX,
  snapshotPath,
} from "./lake-format.ts";
import { snapshotOfState } from "./lake-state.ts";
import type { ObjectStore } from "./object-store.ts";

const snapshotsKept = 2;
const attemptsMax = 10;

/** Sums of the commit log, each up to the entry of its number: where a process begins to read, and what lets entries go. */
export class LakeSnapshots {
  readonly #store: ObjectStore;
  #newest: LakeSnapshot | undefined;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** As of the last time that this process looked; 0 = it knows none. */
  get newestNumber(): number {
    return this.#newest?.number ?? 0;
  }

  /** Lists those that are newer than the known one. */
  async newest(attempt = 1): Promise<LakeSnapshot | undefined> {
    let newest = this.newestNumber;
    const after = newest === 0 ? {} : { after: snapshotPath(newest) };
    for await (const object of this.#store.list(SNAPSHOTS_PREFIX, after))
      newest = Math.max(newest, numberOfPath(object.path) ?? 0);
    if (newest === this.newestNumber) return this.#newest;
    const bytes = await this.#store.get(snapshotPath(newest));
    if (bytes === null) {
      // Dropped since it was listed: then a newer one exists.
      assert(attempt < attemptsMax, "a listed snapshot is there, or a newer one");
      return this.newest(attempt + 1);
    }
    this.#newest = parseSnapshot(newest, bytes);
    return this.#newest;
  }

  /** Writes one of this state. If another process has done so, it says the same: a state is what the entries add up to. */
  async write(state: LakeState): Promise<void> {
    const snapshot = snapshotOfState(state);
    await this.#store.putIfAbsent(snapshotPath(state.number), encodeJson(snapshot));
    this.#newest = snapshot;
    const paths: string[] = [];
    for await (const { path } of this.#store.list(SNAPSHOTS_PREFIX)) paths.push(path);
    await deleteInOrder(this.#store, paths.slice(0, -snapshotsKept));
  }
}
