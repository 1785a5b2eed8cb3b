import assert from "node:assert/strict";
import { deleteInOrder } from "../stores/delete-objects.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import type { LakeState } from "./commit-log.ts";
import { encodeJson, numberOfPath, parseSnapshot, snapshotPath, snapshotsPrefix } from "./lake-format.ts";
import type { LakeSnapshot } from "./lake-schemas.ts";
import { snapshotOfState } from "./lake-state.ts";

const snapshotsKept = 2;
const attemptsMax = 10;

/**
 * Sums of the commit log up to the entry of their number. Processes begin to read at a snapshot, and entries
 * below it can be given up.
 */
export class LakeSnapshots {
  readonly #store: ObjectStore;
  #newest: LakeSnapshot | undefined;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** As of the last look; 0 = none known. */
  get newestNumber(): number {
    return this.#newest?.number ?? 0;
  }

  /** The newest snapshot; lists only those above the known one. */
  async newest(attempt = 1): Promise<LakeSnapshot | undefined> {
    let newest = this.newestNumber;
    const after = newest === 0 ? {} : { after: snapshotPath(newest) };
    for await (const object of this.#store.list(snapshotsPrefix, after))
      newest = Math.max(newest, numberOfPath(object.path) ?? 0);
    if (newest === this.newestNumber) return this.#newest;
    const bytes = await this.#store.get(snapshotPath(newest));
    if (bytes === null) {
      // Deleted since the listing, so a newer one exists.
      assert(attempt < attemptsMax, "a listed snapshot is there, or a newer one");
      return this.newest(attempt + 1);
    }
    this.#newest = parseSnapshot(newest, bytes);
    return this.#newest;
  }

  /**
   * Writes a snapshot of this state. A snapshot of the same number by another process has the same content,
   * because the entries alone determine the state.
   */
  async write(state: LakeState): Promise<void> {
    const snapshot = snapshotOfState(state);
    await this.#store.putIfAbsent(snapshotPath(state.number), encodeJson(snapshot));
    this.#newest = snapshot;
    const paths: string[] = [];
    for await (const { path } of this.#store.list(snapshotsPrefix)) paths.push(path);
    await deleteInOrder(this.#store, paths.slice(0, -snapshotsKept));
  }
}
