import type { Logger } from "pino";
import type { Position, StreamEntry } from "../../../streams/stream-log.ts";
import { poisonResume } from "../../../tail/partition-halt.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";

/** After this many deaths in a row, batches are halved with each further death. */
const deathsBeforeHalving = 3;
/** A block halts its partition after this many processes died with it alone in the batch. */
const deathsOfOneBlock = 3;
/** Commits before the size of a halved batch may double. */
const commitsBeforeDoubling = 4;
const limitForgottenBlocks = 4096;

/**
 * A block that killed a process while alone in its batch, after the committed position `from` of the
 * partition `key`.
 */
export interface Poison {
  readonly key: string;
  readonly from: Position;
  readonly position: Position;
}

/** What the process is about to do. It is saved before, so that it survives a death. */
export interface Attempt {
  /** Committed position of each partition at the batch's start, by partition key. */
  readonly from: Readonly<Record<string, Position>>;
  /** Number of blocks in the batch, as far as known. */
  readonly blocks: number;
  /** Bound of the batch's blocks; null = none. */
  readonly limit: number | null;
  /** Partition key and position of the last read. */
  readonly key: string;
  readonly position: Position;
  /** Deaths in a batch from these positions, and deaths with only one block in it. */
  readonly deaths: number;
  readonly deathsAlone: number;
  /** Kept until its partition moves on. */
  readonly poison: Poison | null;
}

/**
 * Keeps the attempt outside of the process, so that it survives the process's death. A power cut may lose it.
 */
export interface AttemptStore {
  load(): Promise<Attempt | null>;
  save(attempt: Attempt): Promise<void>;
  clear(): Promise<void>;
}

/**
 * Keeps a batch that kills the process (the database engine is native code) from killing it for ever. With
 * each death, batches from the same positions get smaller, down to one block. A block that kills alone halts
 * its partition and raises an alarm. Nothing is skipped.
 */
export class PoisonGuard {
  readonly #store: AttemptStore | undefined;
  readonly #logger: Logger;
  #limit: number | null = null;
  #commits = 0;
  #deaths = 0;
  #deathsAlone = 0;
  #from: Readonly<Record<string, Position>> = {};
  #last: { key: string; position: Position } = { key: "", position: "" };
  #poison: Poison | null = null;
  #isSaved = false;
  #isLoaded = false;

  constructor(store: AttemptStore | undefined, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  /** Maximum number of blocks in a batch. */
  get blocksMax(): number {
    return this.#limit ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Call it after each recovery. The first call reads the attempt of the process before. Resolves with true
   * if that process died in an open batch.
   */
  async begin(cursors: readonly PartitionCursor[]): Promise<boolean> {
    const hasDied = !this.#isLoaded && (await this.#learn(cursors));
    this.#isLoaded = true;
    this.#isSaved = false;
    for (const cursor of cursors)
      if (cursor.key === this.#poison?.key) this.#haltPoisoned(cursor, this.#poison);
    return hasDied;
  }

  /**
   * Call it before the cursor's next blocks are decoded, judged and given to the writer. Saves the attempt
   * once per batch.
   */
  async beforeTaking(
    cursors: readonly PartitionCursor[],
    cursor: PartitionCursor,
    entries: readonly StreamEntry[],
  ): Promise<void> {
    if (this.#isSaved || !this.#store) return;
    this.#isSaved = true;
    this.#last = { key: cursor.key, position: entries.at(-1)?.position ?? cursor.position };
    await this.#save(cursors, entries.length);
  }

  /**
   * Call it if the blocks were refused and the batch is empty: if the process ends now, they are not the
   * cause.
   */
  async nothingTaken(cursors: readonly PartitionCursor[]): Promise<void> {
    if (!this.#isSaved || cursors.some(({ openBlocks }) => openBlocks > 0)) return;
    this.#isSaved = false;
    await this.#forget();
  }

  /** Call it before the batch's files are written, when the number of its blocks is known. */
  async beforeWriting(cursors: readonly PartitionCursor[]): Promise<void> {
    if (this.#store) await this.#save(cursors);
  }

  committed(): void {
    this.#isSaved = false;
    this.#deaths = 0;
    this.#deathsAlone = 0;
    if (this.#limit === null) return;
    this.#commits += 1;
    if (this.#commits < commitsBeforeDoubling) return;
    this.#commits = 0;
    this.#limit = this.#limit * 2 >= limitForgottenBlocks ? null : this.#limit * 2;
  }

  /** Call it at an orderly end of the process. */
  async end(): Promise<void> {
    this.#limit = null;
    await this.#forget();
  }

  async #forget(): Promise<void> {
    if (this.#poison) await this.#save([]);
    else await this.#store?.clear().catch((error: unknown) => this.#warn(error));
  }

  async #learn(cursors: readonly PartitionCursor[]): Promise<boolean> {
    const attempt = await this.#store?.load().catch((error: unknown) => this.#warn(error));
    if (!attempt) return false;
    const { blocks, limit, key, position } = attempt;
    this.#poison = attempt.poison;
    const isSame = areUnmoved(attempt.from, cursors);
    if (isSame) {
      this.#from = attempt.from;
      this.#deaths = attempt.deaths + 1;
      this.#deathsAlone = blocks === 1 ? attempt.deathsAlone + 1 : 0;
    }
    const isHalved = limit !== null || this.#deaths >= deathsBeforeHalving;
    if (isHalved) this.#limit = Math.max(1, Math.floor(blocks / 2));
    if (this.#deathsAlone >= deathsOfOneBlock)
      this.#poison = { key, from: attempt.from[key] ?? "", position };
    if (isHalved || isSame) {
      const fields = { deaths: this.#deaths, blocks, blocksMax: this.#limit };
      this.#logger.warn({ event: "consumer.batch.died", ...fields }, "a process died with a batch open");
    }
    return isSame;
  }

  #haltPoisoned(cursor: PartitionCursor, { from, position }: Poison): void {
    if (cursor.committed !== from) {
      this.#poison = null;
      return;
    }
    const message =
      `${deathsOfOneBlock} processes died while they filed the block at ${position} alone; ` +
      "keep the stream's folder for the analysis";
    const resume = poisonResume(cursor.partition);
    const survey = { resumeAfter: position, unaccounted: 0, marks: new Map() };
    const told = { retryAtMs: null, sinceMs: null, isTold: true };
    cursor.halt = { code: "BLOCK_POISON", message, position, resume, survey, ...told };
    const fields = { code: "BLOCK_POISON", partition: cursor.partition, position, resume };
    this.#logger.error({ event: "consumer.partition.halted", ...fields }, message);
  }

  /** @param more Blocks that the cursors do not count yet. */
  async #save(cursors: readonly PartitionCursor[], more = 0): Promise<void> {
    const from = Object.fromEntries(cursors.map((cursor) => [cursor.key, cursor.committed]));
    const isSame = areUnmoved(this.#from, cursors);
    const attempt: Attempt = {
      from,
      blocks: cursors.reduce((sum, cursor) => sum + cursor.openBlocks, more),
      limit: this.#limit,
      ...this.#last,
      deaths: isSame ? this.#deaths : 0,
      deathsAlone: isSame ? this.#deathsAlone : 0,
      poison: this.#poison,
    };
    await this.#store?.save(attempt).catch((error: unknown) => this.#warn(error));
  }

  /** The consumer also works without a saved attempt. */
  #warn(error: unknown): null {
    this.#logger.warn({ event: "consumer.attempt.failed", err: error }, "the attempt could not be saved");
    return null;
  }
}

/**
 * Whether the batch begins at the same positions in the partitions that both have. Partitions may have been
 * reassigned since.
 */
function areUnmoved(from: Attempt["from"], cursors: readonly PartitionCursor[]): boolean {
  const shared = cursors.filter(({ key }) => from[key] !== undefined);
  return shared.length > 0 && shared.every(({ key, committed }) => from[key] === committed);
}
