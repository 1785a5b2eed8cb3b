import { randomUUID } from "node:crypto";
import { type LakeState, partitionOfKey } from "../storage/commit-log.ts";
import { allRows } from "../storage/past-partitions.ts";
import type { SeedPart, SeedRows } from "../storage/seed-source.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import { ExactIdColumns } from "./exact-id-columns.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { joinedEntries, spanStart, windowEntriesOf } from "./window-entries.ts";

/**
 * Clears the windows of partitions and fills them from the lake's files, which are read once for all of them. False: somebody else
 * worked on one of them meanwhile; the others are whole.
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
  // Whole topics are read from the tables, which do not show a commit whose process has ended before it published it.
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
  /** Only devices that are in this partition now. */
  readonly isShared: boolean;
  /** By how much its stream time is behind the window's. */
  readonly shiftMs: number;
}

/** Of partitions whose rows only exact topics still want: whatever their devices are in now. */
const anyPast: Pick<WantedPart, "isShared"> = { isShared: true };

/** One window on its way to the lake's state. */
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

  /** Somebody else works on the window. */
  get isLost(): boolean {
    return this.#isLost;
  }

  async begin(): Promise<void> {
    await this.#context.window.beginSeed(this.#cursor.partition, this.#token);
  }

  /** @param parts Those that `rows.parts` are of. */
  async add(rows: SeedRows, parts: readonly WantedPart[]): Promise<void> {
    if (this.#isLost) return;
    const { partitions } = this.#context.stream;
    const { partition, streamTimeMs } = this.#cursor;
    const wantedByPart = parts.map(({ key }) => this.wanted.get(key));
    // Of a partition that the stream has forgotten it is not known which devices go there: too many ids do no harm, too few double messages.
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

  /** False: the window is somebody else's, or not what was put into it. */
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
 * Where the ids of a partition's window stand: in its own rows, and in those of other streams whose time reaches into its span: after a
 * new stream was started, devices send again what the old one had taken. Of these, and of partitions of this stream that took no more
 * (of which this one's ancestors are some), the devices that are in this partition now. Exact topics have no span: all their rows,
 * whatever the stream.
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

/** What several windows want of one partition; nothing where none does. */
function longestSpan(parts: readonly WantedPart[]): WantedPart[] {
  return parts.toSorted((left, right) => left.sinceMs - right.sinceMs).slice(0, 1);
}
