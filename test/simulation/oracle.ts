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
  /** All that is filed but device, id and ingest time: the event time stands in the payload. */
  readonly content: string;
  readonly expiresAtSeconds: number;
}

/** A perfect memory of what was read: a partition goes on from those whose place it took, which are read before. */
interface Memory {
  readonly lastSequences: Map<string, number>;
  readonly known: Map<string, Known>;
  /** By partition. */
  readonly streamTimesMs: number[];
}

/**
 * What the tables must hold in the end: every block read once, in order. Shares no code with the consumer.
 * @param parents By partition, those whose place it took: always lower numbers.
 */
export function expectedOf(
  history: readonly (readonly SentBlock[])[],
  parents: readonly (readonly number[])[],
): Expected {
  const rows = new Map<string, ExpectedRow>();
  const memory: Memory = { lastSequences: new Map(), known: new Map(), streamTimesMs: [] };
  const counters = history.map((blocks, partition) => {
    const inherited = (parents[partition] ?? []).map((parent) => memory.streamTimesMs[parent] ?? 0);
    memory.streamTimesMs[partition] = Math.max(0, ...inherited);
    return readPartition(partition, blocks, { rows, memory });
  });
  return { rows, counters };
}

function readPartition(
  partition: number,
  blocks: readonly SentBlock[],
  { rows, memory }: { rows: Map<string, ExpectedRow>; memory: Memory },
): ExpectedCounters {
  const counters = { read: 0, filed: 0, duplicates: 0, quarantined: 0, resent: 0, misrouted: 0 };
  const { lastSequences, known, streamTimesMs } = memory;
  for (const block of blocks) {
    const streamTimeMs = Math.max(streamTimesMs[partition] ?? 0, block.appendTimeMs);
    streamTimesMs[partition] = streamTimeMs;
    counters.read += block.messages.length;
    const producer = `${block.producerId}@${block.meantPartition}`;
    if (block.sequence <= (lastSequences.get(producer) ?? 0)) {
      counters.resent += block.messages.length;
      continue;
    }
    lastSequences.set(producer, block.sequence);
    if (block.meantPartition !== partition) {
      counters.misrouted += block.messages.length;
      continue;
    }
    for (const [index, message] of block.messages.entries()) {
      const fate = fateOf(message, streamTimeMs, known);
      counters[fate === "filed" || fate === "duplicates" ? fate : "quarantined"] += 1;
      if (fate === "duplicates") continue;
      const table = fate === "filed" ? message.topic.topicId : "_quarantine";
      const reason = fate === "filed" ? null : fate;
      const { position } = block;
      const row = { partition, position, index, table, reason, message, streamTimeMs };
      rows.set(`${partition}/${position}/${index}`, row);
    }
  }
  return counters;
}

/** "filed", "duplicates", or the reason for quarantine. */
function fateOf(message: SentMessage, streamTimeMs: number, known: Map<string, Known>): string {
  const { topic, deviceId, id, fault } = message;
  const content = `${topicNameOf(message)} ${message.payload}`;
  if (id === null) return fault ?? "filed";
  const key = JSON.stringify([topic.topicId, deviceId, id]);
  const isExact = topic.dedupe === "exact";
  const expiresAtSeconds = isExact
    ? Number.POSITIVE_INFINITY
    : Math.ceil((streamTimeMs + topic.dedupeWindowMs) / 1000);
  const living = alive(known.get(key), streamTimeMs);
  if (living?.content !== content && isFiledElsewhere(message, content, { streamTimeMs, known }))
    return "duplicates";
  if (!living) {
    known.set(key, { content, expiresAtSeconds });
    return fault ?? "filed";
  }
  if (living.content === content) return "duplicates";
  const reusedKey = JSON.stringify([topic.topicId, deviceId, id, content]);
  if (alive(known.get(reusedKey), streamTimeMs)) return "duplicates";
  known.set(reusedKey, { content, expiresAtSeconds });
  return "id-reused";
}

/** Whether another topic, to which the name belonged before or will belong, has the same message. */
function isFiledElsewhere(
  { topic, deviceId, id }: SentMessage,
  content: string,
  { streamTimeMs, known }: { streamTimeMs: number; known: Map<string, Known> },
): boolean {
  if (!movingTopicIds.includes(topic.topicId)) return false;
  return movingTopicIds.some((topicId) => {
    if (topicId === topic.topicId) return false;
    const plain = alive(known.get(JSON.stringify([topicId, deviceId, id])), streamTimeMs);
    const reused = alive(known.get(JSON.stringify([topicId, deviceId, id, content])), streamTimeMs);
    return plain?.content === content || reused !== undefined;
  });
}

function alive(known: Known | undefined, streamTimeMs: number): Known | undefined {
  return known && known.expiresAtSeconds * 1000 > streamTimeMs ? known : undefined;
}
