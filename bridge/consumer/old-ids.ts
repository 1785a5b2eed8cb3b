import type { ConsumerContext } from "./consumer-ports.ts";
import type { JudgedMessage } from "./judge-message.ts";
import { contentFault } from "./quarantine-reason.ts";

const hourMs = 3_600_000;

/** What the lake says of a message whose id only the exact mode still knows. */
export type OldIdVerdict = "resend" | "reused" | "unsure";

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
      if (contents?.has(message.contentHash)) verdicts[index] = "resend";
      else if (contents || !message.row.eventTimeOutside) verdicts[index] = "reused";
    }
  }
  return verdicts;
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

/** Content hashes of what is filed and quarantined, by id; null = not looked for. */
async function filedContents(
  { seeds, lookUps }: ConsumerContext,
  group: readonly OldMessage[],
): Promise<Map<string, Set<number>> | null> {
  const rows = group.map(({ message }) => message.row);
  const found = await seeds.filed({
    topicId: group[0]?.message.topic.topicId ?? "",
    eventTimesMs: rows.map(({ eventTimeMs }) => eventTimeMs),
    messageIds: rows.flatMap(({ messageId }) => messageId ?? []),
    deviceIds: [...new Set(rows.map(({ deviceId }) => deviceId))],
    mayRead: (bytes) => lookUps.take(bytes),
  });
  if (found === null) return null;
  const known = new Map<string, Set<number>>();
  for (const { length, deviceIds, messageIds, contentHashes } of found)
    for (let row = 0; row < length; row++) {
      const id = idOf(deviceIds[row] as string, messageIds[row] as Uint8Array);
      const contents = known.get(id) ?? new Set();
      known.set(id, contents.add(contentHashes[row] as number));
    }
  return known;
}

function idOf(deviceId: string, messageId: Uint8Array | null): string {
  return `${Buffer.from(messageId ?? []).toString("hex")} ${deviceId}`;
}
