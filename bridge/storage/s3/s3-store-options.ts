import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { S3Config } from "./s3-config.ts";

export interface S3StoreOptions {
  readonly config: S3Config;
  /** A folder on a local disk, for files on their way and copies of those that are read; made where it is missing. */
  readonly folder: string;
  /** `read` asks for no right to write, and checks nothing about writing. */
  readonly access: "read" | "write";
  readonly logger?: Logger;
  readonly registry?: Registry;
  /** Ends the opening; without a meaning afterwards. */
  readonly signal?: AbortSignal;
  /** Uploads that have not ended for so long are aborted, ms by the server's clock. Default 24 h. */
  readonly leftAfterMs?: number;
  readonly random?: () => number;
  readonly sleep?: (delayMs: number) => Promise<unknown>;
  /** Default: the process's. Credentials are the SDK's business. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}
