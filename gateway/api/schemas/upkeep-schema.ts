import { Type } from "@sinclair/typebox";
import {
  codedFailureSchema,
  count,
  durationMs,
  oneOf,
  orNull,
  text,
  timeMs,
} from "../../schema/named-schema.ts";

const leaseSchema = Type.Object({
  processName: text("Name of this gateway"),
  owner: orNull(text(), { description: "The gateway that does the upkeep; null = none is known" }),
  failure: orNull(codedFailureSchema, { description: "Why the lease can't be renewed" }),
});

export const upkeepSchema = Type.Object({
  state: oneOf(
    ["working", "waiting", "standing-by", "stopped"],
    "waiting = until work is due, standing-by = another gateway does the upkeep",
  ),
  doing: orNull(Type.Object({ work: text(), sinceMs: timeMs("Since when") }), {
    description: "The work in progress",
  }),
  last: orNull(Type.Object({ work: text(), endedAtMs: timeMs("End"), tookMs: durationMs("Duration") }), {
    description: "The last work that succeeded, since this process started",
  }),
  next: orNull(Type.Object({ work: text(), atMs: timeMs("When it is due") }), {
    description: "null = another gateway does the upkeep",
  }),
  failure: orNull(
    Type.Object({
      work: text(),
      code: text(),
      message: text(),
      sinceMs: timeMs("The first failure since the last success"),
      attempts: count("Failures since the last success"),
    }),
    { description: "Work that fails and is retried; null = none does" },
  ),
  leftAlone: Type.Array(
    Type.Object({
      table: text(),
      code: text(),
      reason: text(),
      wayOut: text(),
      sinceMs: timeMs("Since when"),
    }),
    { description: "Tables that are older than their retention, and from which rows can't be removed" },
  ),
  lease: orNull(leaseSchema, { description: "null = no other gateway shares the lake" }),
});
