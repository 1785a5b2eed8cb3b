import { contentFault } from "../../../decoders/quarantine-reason.ts";
import type { JudgedMessage } from "../../../tail/judge-message.ts";
import { type EventTimeBounds, eventTimeBoundsOf, isOutside } from "../../../topics/event-time-bounds.ts";
import type { ConsumerContext } from "../consumer-ports.ts";

const hourMs = 3_600_000;

/**
 * What the lake says of a message whose id only the exact mode still knows. `quarantined`: no table has the
 * id, and the quarantine has this content with a fault that the message no longer has. `fresh`: neither has
 * the id.
 */
export type OldIdVerdict = "resend" | "reused" | "unsure" | "quarantined" | "fresh";

export const unsureFault = contentFault(
  "exact-unsure",
  "the id was used before the topic's dedupe window, and the content of the first copy is not known: the event time is far from the ingest time, or too many such messages came at once",
);

/**
 * The exact mode keeps bits of sequences, but no content. So a known id may be a resend or a reused id.
 * Outboxes that were restored from a backup reuse ids, and so do two copies of one outbox.
 *
 * A resend has the event time of the filed message, so the look-up searches the files of that hour. Before
 * that, it publishes the tables up to the partition's position, because the process that committed last may
 * have ended before publishing.
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
    const bounds = narrowestBounds(context, group[0]?.message.topic.topicId ?? "");
    for (const { message, index } of group) {
      const contents = known.get(idOf(message.row.deviceId, message.row.messageId));
      const said = contents ? verdictOf(message, contents) : "reused";
      // What was found is certain. What was not found may be under another hour.
      const isFound = contents && (said === "resend" || said === "reused");
      if (isFound || isNearIngest(message, bounds)) verdicts[index] = said;
    }
  }
  return verdicts;
}

/**
 * The narrowest event-time bounds of all versions of a topic. The first copy of a message beyond them may be
 * flagged, and so be filed by its ingest time: the look-up does not find it there.
 */
function narrowestBounds(context: ConsumerContext, topicId: string): EventTimeBounds {
  const bounds = context.topics
    .definitions()
    .filter((topic) => topic.topicId === topicId)
    .map(eventTimeBoundsOf);
  return {
    pastMs: Math.min(...bounds.map(({ pastMs }) => pastMs)),
    aheadMs: Math.min(...bounds.map(({ aheadMs }) => aheadMs)),
  };
}

function isNearIngest({ row }: JudgedMessage, bounds: EventTimeBounds): boolean {
  const { eventTimeMs: ms, eventTimeMicros: micros, eventTimeOutside, ingestTimeMs } = row;
  return !eventTimeOutside && !isOutside(ms, micros, ingestTimeMs, bounds);
}

/**
 * A faulty row in quarantine blocks an id neither in a table nor in quarantine with other content. A row with
 * a reused id means that the table has the id with other content, perhaps in files of another hour.
 */
function verdictOf({ contentHash, fault }: JudgedMessage, contents: Contents): OldIdVerdict {
  if (contents.filed.has(contentHash) || contents.reused.has(contentHash)) return "resend";
  const isTaken = contents.filed.size > 0 || contents.reused.size > 0;
  const isQuarantined = contents.faulty.has(contentHash);
  if (isQuarantined && (isTaken || fault !== null)) return "resend";
  if (isQuarantined) return "quarantined";
  return isTaken ? "reused" : "fresh";
}

/** Content hashes of an id: in its topic's table, in quarantine as reused, and in quarantine with a fault. */
interface Contents {
  readonly filed: Set<number>;
  readonly reused: Set<number>;
  readonly faulty: Set<number>;
}

interface OldMessage {
  readonly message: JudgedMessage;
  readonly index: number;
}

/** Groups by topic and hour of event time. A message without its own event time cannot be looked up. */
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

/** By id; null if the lake was not searched. */
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
