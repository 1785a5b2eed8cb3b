import { Type } from "@sinclair/typebox";

export const leasesConfigSchema = Type.Object(
  {
    leaseMs: Type.Integer({
      default: 10_000,
      minimum: 1000,
      maximum: 600_000,
      unit: "ms",
      description:
        "Length of a lease, renewed five times in this time. Other consumers take over a dead consumer's partitions after it",
    }),
  },
  { additionalProperties: false },
);
