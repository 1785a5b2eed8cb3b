import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { S3Config } from "./s3-config.ts";

export interface S3StoreOptions {
  readonly config: S3Config;
  /** A folder on a local disk for staged files and copies; created if it is missing. */
  readonly folder: string;
  /** `read` needs no right to write, and does not test conditional writes. */
  readonly access: "read" | "write";
  readonly logger?: Logger;
  readonly registry?: Registry;
  /** Aborts the opening; no effect afterwards. */
  readonly signal?: AbortSignal;
  /** Uploads that are unfinished for this long are aborted, ms by the server's clock. Default 24 h. */
  readonly leftAfterMs?: number;
  readonly random?: () => number;
  readonly sleep?: (delayMs: number) => Promise<unknown>;
  /** Default: the process's environment. The SDK looks up the credentials. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}
