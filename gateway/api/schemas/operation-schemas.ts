import { Type } from "@sinclair/typebox";
import { count, flag, oneOf, text, texts } from "../../schema/named-schema.ts";

export const livenessSchema = Type.Object(
  { status: Type.Literal("ok") },
  { description: "The supervisor runs" },
);

export const readinessSchema = Type.Object(
  {
    state: oneOf(
      ["ready", "degraded", "not ready"],
      "degraded = publishes are acknowledged, but filing or the maintenance of the tables is stuck",
    ),
    isReady: flag("True while publishes are acknowledged"),
    reasons: texts("Why publishes are not acknowledged"),
    progress: texts("Progress of the consumer's recovery, before it files again"),
    degraded: texts("Stuck work although publishes are acknowledged"),
  },
  { $id: "Readiness", description: "Whether publishes are acknowledged, and the reasons if not" },
);

export const acceptedGapSchema = Type.Object(
  {
    partition: count(),
    from: text("Position after which the gap began"),
    to: text("Position after which reading continues"),
    unaccounted: count("Minimum of acknowledged messages that are lost"),
  },
  { description: "The partition has resumed" },
);
