import { Type } from "@sinclair/typebox";
import { count, flag, oneOf, text, texts } from "./named-schema.ts";

export const livenessSchema = Type.Object(
  { status: Type.Literal("ok") },
  { description: "The supervisor runs" },
);

export const readinessSchema = Type.Object(
  {
    state: oneOf(
      ["ready", "degraded", "not ready"],
      "degraded = publishes are acknowledged, and filing or the upkeep of the tables is stuck",
    ),
    isReady: flag("True while publishes are acknowledged"),
    reasons: texts("Why publishes are not acknowledged"),
    progress: texts("What the consumer does before it files again, and how far it is"),
    degraded: texts("What is stuck although publishes are acknowledged"),
  },
  { $id: "Readiness", description: "Whether publishes are acknowledged, and if not, why" },
);

export const acceptedGapSchema = Type.Object(
  {
    partition: count(),
    from: text("Position after which the gap began"),
    to: text("Position after which reading goes on"),
    unaccounted: count("Acknowledged messages that are given up, at least"),
  },
  { description: "The partition goes on" },
);
