import { type Static, Type } from "@sinclair/typebox";

const mib = 1024 ** 2;

/** What holds for every request to S3. Bucket, endpoint and region stand in `lake.url`. */
export const s3ConfigSchema = Type.Object(
  {
    timeoutMs: Type.Integer({
      default: 20_000,
      minimum: 100,
      maximum: 600_000,
      unit: "ms",
      description: "A request that S3 has not answered after this long has failed, and is made again",
    }),
    connectTimeoutMs: Type.Integer({
      default: 5000,
      minimum: 100,
      maximum: 60_000,
      unit: "ms",
      description: "How long a connection may take to be made",
    }),
    attempts: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 10,
      description: "How often a request is made before whoever needs it has to wait",
    }),
    encryption: Type.Union([Type.Literal("none"), Type.Literal("AES256"), Type.Literal("aws:kms")], {
      default: "none",
      description:
        "Server-side encryption that every object asks for; none = what the bucket does by itself (on AWS: AES256)",
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
        "crc32: the server checks what it receives and we what we read; none: for servers that refuse such headers",
    }),
    cacheMaxBytes: Type.Integer({
      default: 4096 * mib,
      minimum: 64 * mib,
      unit: "bytes",
      description:
        "Copies of data files kept in the data folder for seeding windows; a query never needs more than this at once",
    }),
  },
  { additionalProperties: false },
);

export type S3Config = Readonly<Static<typeof s3ConfigSchema>>;
