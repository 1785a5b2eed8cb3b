import type { SentBlock, SentMessage } from "./sent-message.ts";

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
}

export interface Expected {
  /** By `<partition>/<position>/<index>`. */
  readonly rows: ReadonlyMap<string, ExpectedRow>;
  readonly counters: readonly ExpectedCounters[];
}

interface Known {
  readonly payload: string;
  readonly expiresAtSeconds: number;
}

/** What the tables must hold in the end: every block read once, in order, with a perfect memory. Shares no code with the consumer. */
export function expectedOf(history: readonly (readonly SentBlock[])[]): Expected {
  const rows = new Map<string, ExpectedRow>();
  const counters = history.map((blocks, partition) => readPartition(partition, blocks, rows));
  return { rows, counters };
}

function readPartition(
  partition: number,
  blocks: readonly SentBlock[],
  rows: Map<string, ExpectedRow>,
): ExpectedCounters {
  const counters: ExpectedCounters = { read: 0, filed: 0, duplicates: 0, quarantined: 0, resent: 0 };
  const lastSequences = new Map<string, number>();
  const known = new Map<string, Known>();
  let streamTimeMs = 0;
  for (const block of blocks) {
    streamTimeMs = Math.max(streamTimeMs, block.appendTimeMs);
    counters.read += block.messages.length;
    if (block.sequence <= (lastSequences.get(block.producerId) ?? 0)) {
      counters.resent += block.messages.length;
      continue;
    }
    lastSequences.set(block.producerId, block.sequence);
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
  const { topic, deviceId, id, payload, fault } = message;
  if (id === null) return fault ?? "filed";
  const key = JSON.stringify([topic.topicId, deviceId, id]);
  const isExact = topic.dedupe === "exact";
  const expiresAtSeconds = isExact
    ? Number.POSITIVE_INFINITY
    : Math.ceil((streamTimeMs + topic.dedupeWindowMs) / 1000);
  const living = alive(known.get(key), streamTimeMs);
  if (!living) {
    known.set(key, { payload, expiresAtSeconds });
    return fault ?? "filed";
  }
  if (living.payload === payload) return "duplicates";
  const reusedKey = JSON.stringify([topic.topicId, deviceId, id, payload]);
  if (alive(known.get(reusedKey), streamTimeMs)) return "duplicates";
  known.set(reusedKey, { payload, expiresAtSeconds });
  return "id-reused";
}

function alive(known: Known | undefined, streamTimeMs: number): Known | undefined {
  return known && known.expiresAtSeconds * 1000 > streamTimeMs ? known : undefined;
}
