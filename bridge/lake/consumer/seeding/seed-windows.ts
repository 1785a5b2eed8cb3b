import { randomUUID } from "node:crypto";
import { partitionOfKey } from "../../../streams/partition-key.ts";
import type { LakeState } from "../../commit-log/commit-log.ts";
import { allRows } from "../../commit-log/past-partitions.ts";
import type { SeedPart, SeedRows } from "../../seed-source.ts";
import type { ConsumerContext } from "../consumer-ports.ts";
import { ExactIdColumns } from "../ids/exact-id-columns.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";
import { joinedEntries, spanStart, windowEntriesOf } from "./window-entries.ts";

/**
 * Clears the windows of partitions and fills them from the lake's files, which are read once for all windows.
 * Resolves with false if another process changed one of them meanwhile; the others are complete.
 */
export async function seedWindows(
  context: ConsumerContext,
  cursors: readonly PartitionCursor[],
  lake: LakeState,
): Promise<boolean> {
  const startedAtMs = context.elapsedMs();
  if (cursors.length > 0) context.progress.at("seeding");
  const keys = [...allRows(lake).keys()];
  const seeds = cursors.map(
    (cursor) => new WindowSeed(context, cursor, { wanted: partsOf(context, cursor, lake), startedAtMs }),
  );
  for (const seed of seeds) await seed.begin();
  const parts = keys.flatMap((key) => longestSpan(seeds.flatMap(({ wanted }) => wanted.get(key) ?? [])));
  const wholeTopics = context.topics.exactTopicIds();
  const pastPartitions = new Map([...lake.past].map(([streamId, { ranges }]) => [streamId, ranges]));
  const onFiles = (files: number, total: number) => context.progress.seeded(files, total);
  const query = { parts, upToCommit: lake.number, wholeTopics, pastPartitions, onFiles };
  // Whole topics are read from the tables. A table lacks a commit if its process ended before publishing it.
  if (parts.length > 0 && wholeTopics.size > 0) await context.publisher.publishPending();
  if (parts.length > 0)
    for await (const rows of context.seeds.rows(query)) {
      context.progress.found(rows.length);
      await Promise.all(seeds.map((seed) => seed.add(rows, parts)));
      if (seeds.every(({ isLost }) => isLost)) break;
    }
  let isWhole = true;
  for (const seed of seeds) if (!(await seed.end())) isWhole = false;
  return isWhole;
}

interface WantedPart extends SeedPart {
  readonly key: string;
  /** Only rows of devices that are in this partition now. */
  readonly isShared: boolean;
  /** How far its stream time trails the window's, ms. */
  readonly shiftMs: number;
}

/** For partitions whose rows only exact topics still need: rows of devices that are in this partition now. */
const anyPast: Pick<WantedPart, "isShared"> = { isShared: true };

/** The seeding of one window. */
class WindowSeed {
  readonly wanted: ReadonlyMap<string, WantedPart>;
  readonly #context: ConsumerContext;
  readonly #cursor: PartitionCursor;
  readonly #token = randomUUID();
  readonly #startedAtMs: number;
  #chunks = 0;
  #ids = 0;
  #isLost = false;

  constructor(
    context: ConsumerContext,
    cursor: PartitionCursor,
    options: { wanted: ReadonlyMap<string, WantedPart>; startedAtMs: number },
  ) {
    this.#context = context;
    this.#cursor = cursor;
    this.wanted = options.wanted;
    this.#startedAtMs = options.startedAtMs;
  }

  /** Whether another process changed the window. */
  get isLost(): boolean {
    return this.#isLost;
  }

  async begin(): Promise<void> {
    await this.#context.window.beginSeed(this.#cursor.partition, this.#token);
  }

  /** @param parts The parts to which `rows.parts` refers. */
  async add(rows: SeedRows, parts: readonly WantedPart[]): Promise<void> {
    if (this.#isLost) return;
    const { partitions } = this.#context.stream;
    const { partition, streamTimeMs } = this.#cursor;
    const wantedByPart = parts.map(({ key }) => this.wanted.get(key));
    // For a partition that the stream has forgotten, the devices are unknown. Extra ids do no harm, but
    // missing ids would cause duplicates.
    const isKnown = partitions.all.some((each) => each.partition === partition);
    const isWanted = (row: number) => {
      const number = rows.parts[row] as number;
      const part = number === parts.length ? anyPast : wantedByPart[number];
      if (part === undefined) return false;
      return !part.isShared || !isKnown || partitions.takes(partition, rows.deviceIds[row] as string);
    };
    const shiftOf = (row: number) => wantedByPart[rows.parts[row] as number]?.shiftMs ?? 0;
    const exact = new ExactIdColumns();
    const options = { streamTimeMs, isWanted, shiftOf, exact };
    const entries = joinedEntries([windowEntriesOf(this.#context, rows, options)], exact);
    const count = Math.max(entries.length, entries.exact?.length ?? 0);
    if (count === 0) return;
    this.#ids += count;
    this.#isLost = !(await this.#context.window.seed(partition, this.#token, this.#chunks++, entries));
  }

  /** Resolves with false if another process changed the window, or if it was rolled back. */
  async end(): Promise<boolean> {
    const { window, metrics, logger, elapsedMs } = this.#context;
    const { partition, committed: applied, streamTimeMs } = this.#cursor;
    const end = { chunks: this.#chunks, applied, streamTimeMs };
    if (!(await window.endSeed(partition, this.#token, end))) return false;
    metrics.windowRestored("seeded");
    const fields = { partition, applied, ids: this.#ids, durationMs: elapsedMs() - this.#startedAtMs };
    logger.info({ event: "consumer.window.seeded", ...fields }, "the window was seeded from the lake");
    return true;
  }
}

/**
 * The partitions whose rows the window of this one needs. These are its own rows, and rows of three other
 * kinds, limited to devices that are in this partition now:
 * - Ended partitions of this stream, among them this one's ancestors.
 * - Partitions of other streams whose time reaches into the window's span. After the start of a new stream,
 *   devices resend messages that the old stream had taken.
 * - If there are exact topics, which have no span, all partitions of all streams.
 */
function partsOf(
  context: ConsumerContext,
  cursor: PartitionCursor,
  lake: LakeState,
): ReadonlyMap<string, WantedPart> {
  const hasExact = context.topics.exactTopicIds().size > 0;
  const wanted = new Map<string, WantedPart>();
  for (const [key, rows] of allRows(lake)) {
    const shiftMs = cursor.shifts?.[key] ?? 0;
    const sinceMs = spanStart(context, cursor.streamTimeMs || rows.streamTimeMs) - shiftMs;
    const part = { ...partitionOfKey(key), key, sinceMs, shiftMs };
    if (key === cursor.key) wanted.set(key, { ...part, isShared: false });
    const isPast = rows.streamTimeMs < sinceMs && !hasExact;
    const isOfOthers = part.streamId === context.stream.streamId && !rows.isEnded;
    const isListed = hasExact || cursor.shifts === undefined || key in cursor.shifts;
    if (key !== cursor.key && !isPast && !isOfOthers && isListed)
      wanted.set(key, { ...part, isShared: true });
  }
  return wanted;
}

/** The part that reaches back the furthest; empty if no window needs the partition. */
function longestSpan(parts: readonly WantedPart[]): WantedPart[] {
  return parts.toSorted((left, right) => left.sinceMs - right.sinceMs).slice(0, 1);
}
