import { type Static, Type } from "@sinclair/typebox";

export const leasesConfigSchema = Type.Object(
  {
    leaseMs: Type.Integer({
      default: 10_000,
      minimum: 1000,
      maximum: 600_000,
      unit: "ms",
      description:
        "Partitions of a consumer process that dies are taken over after this long; renewed five times as often",
    }),
  },
  { additionalProperties: false },
);

export type LeasesConfig = Readonly<Static<typeof leasesConfigSchema>>;
