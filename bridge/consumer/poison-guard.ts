import type { Logger } from "pino";
import type { Position, StreamEntry } from "../streams/stream-log.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { poisonResume } from "./partition-halt.ts";

/** A batch that outlives this many processes is halved from then on, with each one that dies in it. */
const DEATHS_BEFORE_HALVING = 3;
/** A block that this many processes died with, alone in its batch, halts its partition. */
const DEATHS_OF_ONE_BLOCK = 3;
/** After so many commits a halved batch may be twice as large again. */
const COMMITS_BEFORE_DOUBLING = 4;
const LIMIT_FORGOTTEN_BLOCKS = 4096;

/** A block that killed alone, behind the committed position `from` of the partition `key`. */
export interface Poison {
  readonly key: string;
  readonly from: Position;
  readonly position: Position;
}

/** What the process was doing, told before it does it; it is there after a death. */
export interface Attempt {
  /** Committed position of each partition when the batch began, by its name in the commit log. */
  readonly from: Readonly<Record<string, Position>>;
  /** Blocks in the batch, as far as it was known. */
  readonly blocks: number;
  /** Blocks that it was allowed to hold; null = any number. */
  readonly limit: number | null;
  /** The partition and the position that were read last. */
  readonly key: string;
  readonly position: Position;
  /** Processes that died before in a batch from there, and those of them that held one block only. */
  readonly deaths: number;
  readonly deathsAlone: number;
  /** Known until its partition moves on. */
  readonly poison: Poison | null;
}

/** Where the attempt is kept: beside the process, so that it survives its death. Power cuts may lose it. */
export interface AttemptStore {
  load(): Promise<Attempt | null>;
  save(attempt: Attempt): Promise<void>;
  clear(): Promise<void>;
}

/**
 * Keeps a batch that kills the process (the database engine is native code) from killing it for ever: batches from the same positions
 * get smaller with each death, down to one block, and a block that kills alone halts its partition, with an alarm. Nothing is skipped.
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

  /** Blocks that a batch may hold now. */
  get blocksMax(): number {
    return this.#limit ?? Number.POSITIVE_INFINITY;
  }

  /** After each recovery; the first time it learns what became of the process before. True where that one died in an open batch. */
  async begin(cursors: readonly PartitionCursor[]): Promise<boolean> {
    const hasDied = !this.#isLoaded && (await this.#learn(cursors));
    this.#isLoaded = true;
    this.#isSaved = false;
    for (const cursor of cursors)
      if (cursor.key === this.#poison?.key) this.#haltPoisoned(cursor, this.#poison);
    return hasDied;
  }

  /** Before the cursor's next blocks are decoded, judged and given to the writer. Kept once per batch. */
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

  /** The blocks were refused, so that the batch has none of them. A process that ends now did not die of them. */
  async nothingTaken(cursors: readonly PartitionCursor[]): Promise<void> {
    if (!this.#isSaved || cursors.some(({ openBlocks }) => openBlocks > 0)) return;
    this.#isSaved = false;
    await this.#forget();
  }

  /** Before the batch's files are written: by now it is known how many blocks it has. */
  async beforeWriting(cursors: readonly PartitionCursor[]): Promise<void> {
    if (this.#store) await this.#save(cursors);
  }

  committed(): void {
    this.#isSaved = false;
    this.#deaths = 0;
    this.#deathsAlone = 0;
    if (this.#limit === null) return;
    this.#commits += 1;
    if (this.#commits < COMMITS_BEFORE_DOUBLING) return;
    this.#commits = 0;
    this.#limit = this.#limit * 2 >= LIMIT_FORGOTTEN_BLOCKS ? null : this.#limit * 2;
  }

  /** The process ends in order. */
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
    const isHalved = limit !== null || this.#deaths >= DEATHS_BEFORE_HALVING;
    if (isHalved) this.#limit = Math.max(1, Math.floor(blocks / 2));
    if (this.#deathsAlone >= DEATHS_OF_ONE_BLOCK)
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
      `${DEATHS_OF_ONE_BLOCK} processes died while they filed the block at ${position} alone; ` +
      "keep the stream's folder for whoever looks into it";
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

  /** Without the attempt the consumer works all the same. */
  #warn(error: unknown): null {
    this.#logger.warn({ event: "consumer.attempt.failed", err: error }, "the attempt could not be kept");
    return null;
  }
}

/** True where the batch would begin as that one did, in the partitions that both have: what is read may have been shared out anew. */
function areUnmoved(from: Attempt["from"], cursors: readonly PartitionCursor[]): boolean {
  const shared = cursors.filter(({ key }) => from[key] !== undefined);
  return shared.length > 0 && shared.every(({ key, committed }) => from[key] === committed);
}
