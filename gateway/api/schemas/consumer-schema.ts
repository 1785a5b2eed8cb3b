import { Type } from "@sinclair/typebox";
import {
  codedFailureSchema,
  count,
  durationMs,
  flag,
  oneOf,
  orNull,
  text,
  texts,
  timeMs,
} from "../../schema/named-schema.ts";
import { failureSchema, streamProperties } from "./stream-schemas.ts";

/** Committed messages. */
const countersSchema = Type.Object({
  read: count(),
  filed: count(),
  duplicates: count(),
  quarantined: count(),
  resent: count(),
  misrouted: count(),
  unaccounted: count("In gaps that an operator accepted"),
});

const haltSchema = Type.Object({
  code: oneOf([
    "STREAM_GAP",
    "BLOCK_CORRUPT",
    "BLOCK_FOREIGN",
    "BLOCK_VERSION",
    "BLOCK_POISON",
    "TOPIC_UNKNOWN",
  ]),
  message: text(),
  resume: text("A command, or the condition for which the partition waits"),
});

const partitionSchema = Type.Object({
  partition: count(),
  state: oneOf(
    ["running", "recovering", "waiting", "stopped"],
    "waiting = resumes by itself, stopped = needs a person",
  ),
  halt: orNull(haltSchema, { description: "Why the partition is not read; null = it is read" }),
  position: text("Position up to which blocks were read"),
  committed: text("Position up to which blocks were committed"),
  streamTimeMs: timeMs("Stream time, by which ids expire"),
  lagBytes: orNull(Type.Number(), {
    description: "Bytes that are not read yet; null = the stream does not report them",
  }),
  openBytes: count(),
  openMessages: count("Messages that were read, but not committed yet"),
  askedForMs: orNull(durationMs("Time since the stream last reported what it holds")),
  lagMs: durationMs("Age of the last block read; 0 = all blocks are read"),
  unfiledMs: orNull(durationMs("Longest time for which a message may have waited for the lake")),
  isEndangered: flag("True = that is more than half of the retention of the stream"),
  counters: countersSchema,
  unaccounted: count("Minimum of acknowledged messages that were never read"),
});

const recoverySchema = Type.Object({
  step: oneOf(["partitions", "tables", "log", "window", "seeding", "trimming"]),
  forMs: durationMs("Duration so far"),
  seeding: orNull(Type.Object({ files: count(), filesTotal: count(), ids: count() })),
});

const leasesSchema = Type.Object({
  processName: text(),
  processes: texts("All processes that share the partitions of the stream"),
  partitions: Type.Array(
    Type.Object({
      partition: count(),
      owner: orNull(text()),
      token: orNull(Type.Number()),
      expiresInMs: orNull(Type.Number(), { description: "null = the lease does not expire" }),
      isDue: flag("True = the partition is being handed over"),
    }),
  ),
  ageMs: orNull(durationMs("Age of this information")),
  failure: orNull(codedFailureSchema, { description: "Why leases can't be renewed" }),
});

const windowSchema = Type.Object({
  ids: count(),
  epochs: count("Epochs of devices in exact mode"),
  bytes: count(),
  isShort: flag("True = ids were forgotten before their time"),
  spanMs: durationMs("Ids that were filed within this span of stream time are known"),
  devicesOverShare: Type.Array(Type.Integer(), {
    description:
      "Numbers of devices whose ids were forgotten because they send many more messages than others",
  }),
  namesOverShare: texts("Names of these devices, as far as they are known"),
});

const tablesSchema = Type.Object({
  parked: Type.Array(
    Type.Object({
      table: text(),
      code: text(),
      reason: text(),
      wayOut: text(),
      sinceMs: timeMs("Since when"),
      heldCommits: count(),
    }),
    { description: "Tables that do not show all commits" },
  ),
  unkempt: Type.Array(Type.Object({ table: text(), reason: text(), sinceMs: timeMs("Since when") }), {
    description: "Tables whose logs grow because no checkpoint can be written",
  }),
});

const outsideTimesSchema = Type.Object({
  topic: text(),
  past: count("Event times too far before their ingest times"),
  ahead: count("Event times too far after their ingest times"),
  unread: count("Messages without an event time that can be read"),
});

export const consumerSchema = Type.Object({
  ...streamProperties,
  state: oneOf(["recovering", "running", "backing-off", "stopped"]),
  recovery: orNull(recoverySchema, { description: "null = no recovery is in progress" }),
  lakeId: text(),
  streamId: text(),
  partitions: Type.Array(partitionSchema, { description: "Partitions that this process reads" }),
  finished: Type.Array(Type.Object({ partition: count(), counters: countersSchema }), {
    description: "Partitions that were read to their end",
  }),
  past: Type.Object(
    { partitions: count(), counters: countersSchema },
    { description: "Sum over partitions that ended earlier" },
  ),
  tables: tablesSchema,
  eventTimesOutside: Type.Array(outsideTimesSchema, {
    description:
      "Rows that are filed by their ingest time, with `event_time_outside`, since this process started",
  }),
  leases: leasesSchema,
  window: orNull(windowSchema, { description: "The dedupe window at the last commit or recovery" }),
  lastCommit: orNull(Type.Object({ number: count(), atMs: timeMs("When") })),
  batches: count("Since this process started"),
  replayedBatches: count("Batches that were discarded and read again"),
  publishesRepaired: count(),
  lastFailure: orNull(failureSchema),
});
