import { encodeMessageId } from "../../devices/protocol/message-id.ts";
import { encodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";
import { ConsumerHarness, startMs } from "./consumer-harness.ts";
import { topicVersion } from "./topic-version.ts";

/** The topic's dedupe window. */
const windowMs = 1000;
/** Fields of a topic version in the SDK's format. */
export const envelopes = { format: "envelope", idPath: "", timePath: "", dedupeWindowMs: windowMs } as const;

/** A consumer with a topic in exact mode. `objects`: the lake of another one. */
export function exactHarness(objects?: ConsumerHarness["store"]["objects"]): ConsumerHarness {
  const streamId = (objects ? "cd" : "ab").repeat(16);
  const harness = new ConsumerHarness(objects ? { objects, streamId } : {});
  harness.define(topicVersion({ ...envelopes, dedupe: "exact" }));
  return harness;
}

/** A message of the SDK; `said` = the sequence beside the id. */
export function sdk(
  sequence: number,
  more: {
    epoch?: number;
    said?: number | null;
    text?: string;
    topicVersion?: number;
    eventTimeMs?: number;
  } = {},
) {
  const { epoch = 1, said = sequence, text = `m${sequence}`, eventTimeMs = startMs } = more;
  const messageId = encodeMessageId({ epoch: Buffer.alloc(8, epoch), sequence });
  const facts = { messageId, eventTimeMs, contentType: "", payload: Buffer.from(text) };
  const payload = Buffer.from(encodeEnvelope(said === null ? facts : { ...facts, sequence: said }));
  return { payload, topicVersion: more.topicVersion ?? 1 };
}

/** Sequences of the rows of the table. */
export function sequences(harness: ConsumerHarness, table = "t1"): number[] {
  return harness
    .rows()
    .filter((row) => row.table === table)
    .map((row) => Number.parseInt((row.messageId ?? "").slice(16), 16));
}

/** Sequences and reasons of quarantined rows. */
export function reasons(harness: ConsumerHarness): [number, string | null][] {
  return harness
    .rows()
    .filter((row) => row.table === "_quarantine")
    .map((row) => [Number.parseInt((row.messageId ?? "").slice(16), 16), row.reason]);
}

/** Duplicates that only the exact mode knew. */
export async function oldDuplicates(harness: ConsumerHarness): Promise<number | undefined> {
  const metric = await harness.registry.getSingleMetric("tidegate_consumer_old_duplicates_total")?.get();
  return metric?.values[0]?.value;
}
