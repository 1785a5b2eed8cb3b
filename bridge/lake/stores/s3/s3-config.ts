import { type Static, Type } from "@sinclair/typebox";

const mib = 1024 ** 2;

/** Settings of requests to S3. Bucket, endpoint and region are part of `lake.url`. */
export const s3ConfigSchema = Type.Object(
  {
    timeoutMs: Type.Integer({
      default: 20_000,
      minimum: 100,
      maximum: 600_000,
      unit: "ms",
      description: "How long a request may wait for S3's answer before it is retried",
    }),
    connectTimeoutMs: Type.Integer({
      default: 5000,
      minimum: 100,
      maximum: 60_000,
      unit: "ms",
      description: "How long opening a connection may take",
    }),
    attempts: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 10,
      description: "Attempts of a request before it fails",
    }),
    encryption: Type.Union([Type.Literal("none"), Type.Literal("AES256"), Type.Literal("aws:kms")], {
      default: "none",
      description: "Server-side encryption of every object; none = the bucket's default (on AWS: AES256)",
    }),
    kmsKeyId: Type.Optional(
      Type.String({
        minLength: 1,
        expected: "the id or ARN of a KMS key",
        description: "Key for encryption aws:kms; default: the account's own",
      }),
    ),
    checksums: Type.Union([Type.Literal("crc32"), Type.Literal("none")], {
      default: "crc32",
      description:
        "crc32: the server verifies what it receives, and Tidegate what it reads; none: for servers that refuse such headers",
    }),
    cacheMaxBytes: Type.Integer({
      default: 4096 * mib,
      minimum: 64 * mib,
      unit: "bytes",
      description:
        "Bound of the copies of data files in the data folder, for seeding windows; also the most that one query may copy",
    }),
  },
  { additionalProperties: false },
);

export type S3Config = Readonly<Static<typeof s3ConfigSchema>>;
