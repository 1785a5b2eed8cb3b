import type { ExpectedTime } from "./expected-time.ts";
import { movingTopicIds } from "./moving-topics.ts";
import { type SentBlock, type SentMessage, topicNameOf } from "./sent-message.ts";

export interface ExpectedRow {
  readonly partition: number;
  readonly position: string;
  readonly index: number;
  /** Topic id, or `_quarantine`. */
  readonly table: string;
  readonly reason: string | null;
  readonly message: SentMessage;
  readonly streamTimeMs: number;
  readonly ingestTimeMs: number;
}

export interface ExpectedCounters {
  read: number;
  filed: number;
  duplicates: number;
  quarantined: number;
  resent: number;
  misrouted: number;
}

export interface Expected {
  /** By `<partition>/<position>/<index>`. */
  readonly rows: ReadonlyMap<string, ExpectedRow>;
  readonly counters: readonly ExpectedCounters[];
}

interface Known {
  /** All filed content except device, id and ingest time. The event time is in the payload. */
  readonly content: string;
  /** The partition of the stream times below. */
  readonly partition: number;
  readonly rowTimeMs: number;
  /** null = for ever. */
  readonly windowMs: number | null;
  /** Number of its commit; 0 = none. */
  readonly commit: number;
}

/** A moment in one partition's stream time, with the offsets of its ancestors' stream times. */
interface Now {
  readonly partition: number;
  readonly timeMs: number;
  readonly rowTimeMs: number;
  readonly shifts: ReadonlyMap<number, number>;
  /** Number of the current commit; 0 = none. */
  readonly commit: number;
}

/**
 * A memory that never forgets. Copies filed by ancestors are converted to this partition's stream time. Of
 * several copies, the one that expires last counts. Of copies that expire in the same second, the one that a
 * seeded window keeps counts: the copy of the newest commit, which is read first, and in it the one filed
 * first.
 */
class Memory {
  readonly #byKey = new Map<string, Map<number, Known>>();

  set(key: string, known: Known): void {
    const copies = this.#byKey.get(key) ?? new Map<number, Known>();
    this.#byKey.set(key, copies.set(known.partition, known));
  }

  living(key: string, { partition, timeMs, shifts }: Now): Known | undefined {
    let latest: { readonly known: Known; readonly atSeconds: number } | undefined;
    for (const known of this.#byKey.get(key)?.values() ?? []) {
      const { rowTimeMs, windowMs } = known;
      const shiftMs = known.partition === partition ? 0 : (shifts.get(known.partition) ?? 0);
      const atSeconds =
        windowMs === null ? Number.POSITIVE_INFINITY : Math.ceil((rowTimeMs + shiftMs + windowMs) / 1000);
      const isLast =
        atSeconds === latest?.atSeconds
          ? known.commit > latest.known.commit
          : atSeconds > (latest?.atSeconds ?? 0);
      if (atSeconds * 1000 > timeMs && isLast) latest = { known, atSeconds };
    }
    return latest?.known;
  }
}

/**
 * The rows that the tables must hold in the end: every block read once, in order, with a perfect memory.
 * Shares no code with the consumer. Partitions are read by number, because replaced partitions have lower
 * numbers.
 */
export function expectedOf(
  history: readonly (readonly SentBlock[])[],
  times: readonly Pick<ExpectedTime, "shifts">[],
  commitOf: (place: string) => number = () => 0,
): Expected {
  const rows = new Map<string, ExpectedRow>();
  const known = new Memory();
  const counters = history.map((blocks, partition) =>
    readPartition(partition, blocks, {
      ...{ rows, known, commitOf },
      shifts: times[partition]?.shifts ?? new Map(),
    }),
  );
  return { rows, counters };
}

function readPartition(
  partition: number,
  blocks: readonly SentBlock[],
  memory: {
    readonly rows: Map<string, ExpectedRow>;
    readonly known: Memory;
    readonly shifts: ReadonlyMap<number, number>;
    readonly commitOf: (place: string) => number;
  },
): ExpectedCounters {
  const counters = { read: 0, filed: 0, duplicates: 0, quarantined: 0, resent: 0, misrouted: 0 };
  const { rows, known, shifts, commitOf } = memory;
  for (const block of blocks) {
    counters.read += block.messages.length;
    if (block.isCopy) {
      counters.resent += block.messages.length;
      continue;
    }
    if (block.meantPartition !== partition) {
      counters.misrouted += block.messages.length;
      continue;
    }
    const { streamTimeMs: timeMs, rowTimeMs } = block;
    for (const [index, message] of block.messages.entries()) {
      const commit = commitOf(`${partition}/${block.position}/${index}`);
      const fate = fateOf(message, { partition, timeMs, rowTimeMs, shifts, commit }, known);
      counters[fate === "filed" || fate === "duplicates" ? fate : "quarantined"] += 1;
      if (fate === "duplicates") continue;
      const table = fate === "filed" ? message.topic.topicId : "_quarantine";
      const reason = fate === "filed" ? null : fate;
      const { position, wallMs: ingestTimeMs } = block;
      const place = { partition, position, index, streamTimeMs: rowTimeMs, ingestTimeMs };
      rows.set(`${partition}/${position}/${index}`, { ...place, table, reason, message });
    }
  }
  return counters;
}

/**
 * "filed", "duplicates", or the reason for quarantine. A table holds an id once. The quarantine holds an id
 * once for each content, and does not keep the id from its table: the same message may be filed after its
 * topic was mended.
 */
function fateOf(message: SentMessage, now: Now, known: Memory): string {
  const { topic, deviceId, id, fault } = message;
  const content = `${topicNameOf(message)} ${message.payload}`;
  if (id === null) return fault ?? "filed";
  const key = JSON.stringify([topic.topicId, deviceId, id]);
  const quarantinedKey = JSON.stringify([topic.topicId, deviceId, id, content]);
  const { partition, rowTimeMs, commit } = now;
  const windowMs = topic.dedupe === "exact" ? null : topic.dedupeWindowMs;
  const fresh = { content, partition, rowTimeMs, windowMs, commit };
  const living = known.living(key, now);
  if (living?.content === content) return "duplicates";
  const isFine = !living && fault === null;
  if (isElsewhere(message, content, { now, known, isFine })) return "duplicates";
  if (isFine) {
    known.set(key, fresh);
    return "filed";
  }
  if (known.living(quarantinedKey, now)) return "duplicates";
  known.set(quarantinedKey, fresh);
  return living ? "id-reused" : (fault as string);
}

/**
 * True if another topic, to which the name belonged or will belong, has the same message. A message without
 * a fault may be in quarantine there for a fault, but not because of a reused id.
 */
function isElsewhere(
  { topic, deviceId, id }: SentMessage,
  content: string,
  { now, known, isFine }: { now: Now; known: Memory; isFine: boolean },
): boolean {
  if (!movingTopicIds.includes(topic.topicId)) return false;
  return movingTopicIds.some((topicId) => {
    if (topicId === topic.topicId) return false;
    const plain = known.living(JSON.stringify([topicId, deviceId, id]), now);
    const quarantined = known.living(JSON.stringify([topicId, deviceId, id, content]), now);
    return plain?.content === content || ((plain || !isFine) && quarantined !== undefined);
  });
}
