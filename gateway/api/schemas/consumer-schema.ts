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
} from "./named-schema.ts";
import { failureSchema, streamProperties } from "./stream-schemas.ts";

/** In messages, as committed. */
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
  resume: text("A command, or what it waits for"),
});

const partitionSchema = Type.Object({
  partition: count(),
  state: oneOf(
    ["running", "recovering", "waiting", "stopped"],
    "waiting resumes by itself, stopped needs a person",
  ),
  halt: orNull(haltSchema, { description: "Why it is not read; null = it is" }),
  position: text("Read so far"),
  committed: text("Committed so far"),
  streamTimeMs: timeMs("Stream time, by which ids expire"),
  lagBytes: orNull(Type.Number(), { description: "Not filed yet; null = the stream does not say" }),
  openBytes: count(),
  openMessages: count("Read, and in no commit yet"),
  askedForMs: orNull(durationMs("Since the stream was asked what it holds")),
  lagMs: durationMs("Age of the last block read; 0 = nothing more waits"),
  unfiledMs: orNull(durationMs("For how long something may have waited for the lake")),
  isEndangered: flag("That is more than half of the time for which the stream keeps it"),
  counters: countersSchema,
  unaccounted: count("Acknowledged messages that were never read, at least"),
});

const recoverySchema = Type.Object({
  step: oneOf(["partitions", "tables", "log", "window", "seeding", "trimming"]),
  forMs: durationMs("For how long it has gone on"),
  seeding: orNull(Type.Object({ files: count(), filesTotal: count(), ids: count() })),
});

const leasesSchema = Type.Object({
  processName: text(),
  processes: texts("All that share the stream's partitions"),
  partitions: Type.Array(
    Type.Object({
      partition: count(),
      owner: orNull(text()),
      token: orNull(Type.Number()),
      expiresInMs: orNull(Type.Number(), { description: "null = it does not run out" }),
      isDue: flag("It is being handed over"),
    }),
  ),
  ageMs: orNull(durationMs("Age of that knowledge")),
  failure: orNull(codedFailureSchema, { description: "Why leases can't be renewed" }),
});

const windowSchema = Type.Object({
  ids: count(),
  epochs: count("Epochs of devices in exact mode"),
  bytes: count(),
  isShort: flag("True = ids were forgotten before their time"),
  spanMs: durationMs("What was filed within so much stream time is known"),
  devicesOverShare: Type.Array(Type.Integer(), {
    description: "Numbers of devices whose ids were forgotten since they send many more than others",
  }),
  namesOverShare: texts("Their names, as far as they are known"),
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
    { description: "Tables that do not show what is committed" },
  ),
  unkempt: Type.Array(Type.Object({ table: text(), reason: text(), sinceMs: timeMs("Since when") }), {
    description: "Tables whose logs grow",
  }),
});

export const consumerSchema = Type.Object({
  ...streamProperties,
  state: oneOf(["recovering", "running", "backing-off", "stopped"]),
  recovery: orNull(recoverySchema, { description: "null = none is under way" }),
  lakeId: text(),
  streamId: text(),
  partitions: Type.Array(partitionSchema, { description: "Those that this process reads" }),
  finished: Type.Array(Type.Object({ partition: count(), counters: countersSchema }), {
    description: "Partitions that were read to their end",
  }),
  past: Type.Object(
    { partitions: count(), counters: countersSchema },
    { description: "Those before them, together" },
  ),
  tables: tablesSchema,
  leases: leasesSchema,
  window: orNull(windowSchema, { description: "The dedupe window at the last commit or recovery" }),
  lastCommit: orNull(Type.Object({ number: count(), atMs: timeMs("When") })),
  batches: count("Since this process started"),
  replayedBatches: count("Batches that were given up and read again"),
  publishesRepaired: count(),
  lastFailure: orNull(failureSchema),
  housekeeping: orNull(Type.Object({ message: text(), atMs: timeMs("When") }), {
    description: "Why the last vacuum failed; null = it did not",
  }),
});
