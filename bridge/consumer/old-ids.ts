import type { ConsumerContext } from "./consumer-ports.ts";
import type { JudgedMessage } from "./judge-message.ts";
import { contentFault } from "./quarantine-reason.ts";

const hourMs = 3_600_000;

/**
 * What the lake says of a message whose id only the exact mode still knows. `quarantined`: no table holds the id, and the quarantine has
 * this content for a fault that the message has no more. `fresh`: neither has it.
 */
export type OldIdVerdict = "resend" | "reused" | "unsure" | "quarantined" | "fresh";

export const unsureFault = contentFault(
  "exact-unsure",
  "the id was used before the topic's dedupe window, and whether with this content was not to be found out: the event time is far from the ingest time, or too many such messages came at once",
);

/**
 * The exact mode keeps bits of sequences and no content, so what it knows may be a resend, or an id that is used again: by an outbox
 * that was restored from a backup, or by two that are copies of one. A resend has the event time of what was filed, so that one stands
 * in the files of that hour, where it is looked for. The tables show every commit up to the partition's position by then: the process that
 * made the last one may have ended before it published it.
 */
export async function lookUpOldIds(
  context: ConsumerContext,
  messages: readonly JudgedMessage[],
): Promise<OldIdVerdict[]> {
  const verdicts = messages.map((): OldIdVerdict => "unsure");
  await context.publisher.publishPending();
  for (const group of groupsOf(messages)) {
    const known = await filedContents(context, group);
    if (known === null) continue;
    for (const { message, index } of group) {
      const contents = known.get(idOf(message.row.deviceId, message.row.messageId));
      if (contents) verdicts[index] = verdictOf(message, contents);
      else if (!message.row.eventTimeOutside) verdicts[index] = "reused";
    }
  }
  return verdicts;
}

/**
 * The quarantine keeps an id from no table, nor from another row of its own with other content. What it holds as used again is no case
 * for its table: that has the id with other content, in files of another hour perhaps.
 */
function verdictOf({ contentHash, fault }: JudgedMessage, contents: Contents): OldIdVerdict {
  if (contents.filed.has(contentHash) || contents.reused.has(contentHash)) return "resend";
  const isTaken = contents.filed.size > 0 || contents.reused.size > 0;
  const isQuarantined = contents.faulty.has(contentHash);
  if (isQuarantined && (isTaken || fault !== null)) return "resend";
  if (isQuarantined) return "quarantined";
  return isTaken ? "reused" : "fresh";
}

/** Content hashes with which an id stands in its topic's table; in quarantine as used again; and there for a fault. */
interface Contents {
  readonly filed: Set<number>;
  readonly reused: Set<number>;
  readonly faulty: Set<number>;
}

interface OldMessage {
  readonly message: JudgedMessage;
  readonly index: number;
}

/** By topic and hour of event time. Without an event time of its own a message is not to be found. */
function groupsOf(messages: readonly JudgedMessage[]): Iterable<readonly OldMessage[]> {
  const groups = new Map<string, OldMessage[]>();
  for (const [index, message] of messages.entries()) {
    const { eventTimeMs, eventTimeOutside, ingestTimeMs } = message.row;
    if (eventTimeOutside && eventTimeMs === ingestTimeMs) continue;
    const key = `${message.topic.topicId}/${Math.floor(eventTimeMs / hourMs)}`;
    const group = groups.get(key);
    if (group) group.push({ message, index });
    else groups.set(key, [{ message, index }]);
  }
  return groups.values();
}

/** By id; null = not looked for. */
async function filedContents(
  { seeds, lookUps }: ConsumerContext,
  group: readonly OldMessage[],
): Promise<Map<string, Contents> | null> {
  const rows = group.map(({ message }) => message.row);
  const found = await seeds.filed({
    topicId: group[0]?.message.topic.topicId ?? "",
    eventTimesMs: rows.map(({ eventTimeMs }) => eventTimeMs),
    messageIds: rows.flatMap(({ messageId }) => messageId ?? []),
    deviceIds: [...new Set(rows.map(({ deviceId }) => deviceId))],
    mayRead: (bytes) => lookUps.take(bytes),
  });
  if (found === null) return null;
  const known = new Map<string, Contents>();
  for (const { length, deviceIds, messageIds, contentHashes, isQuarantined, idReused } of found)
    for (let row = 0; row < length; row++) {
      const id = idOf(deviceIds[row] as string, messageIds[row] as Uint8Array);
      const contents = known.get(id) ?? { filed: new Set(), reused: new Set(), faulty: new Set() };
      const place = idReused[row] ? "reused" : isQuarantined ? "faulty" : "filed";
      contents[place].add(contentHashes[row] as number);
      known.set(id, contents);
    }
  return known;
}

function idOf(deviceId: string, messageId: Uint8Array | null): string {
  return `${Buffer.from(messageId ?? []).toString("hex")} ${deviceId}`;
}
