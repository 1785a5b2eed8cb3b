import { BridgeError } from "../../../errors.ts";
import type { S3Requests } from "./s3-requests.ts";

/**
 * What one conditional PutObject did. `conflict`: another writer's request for the name was under way.
 * `unknown`: there was no answer, see `error`.
 */
export interface CreateAttempt {
  readonly outcome: "created" | "exists" | "conflict" | "unknown";
  readonly error?: BridgeError;
}

export interface ConditionalServer {
  readonly url: string;
  /** Key of the object to create twice. It stays in the bucket. */
  readonly key: string;
  readonly requests: S3Requests;
  readonly attemptsMax: number;
  readonly tryCreate: (key: string, bytes: Uint8Array) => Promise<CreateAttempt>;
}

/**
 * Rejects with S3_UNCONDITIONAL if the server lets an object be created twice. Some servers ignore unknown
 * conditions and answer 200: two consumers would both commit.
 */
export async function refuseUnconditional(server: ConditionalServer): Promise<void> {
  const { url, key, requests, attemptsMax, tryCreate } = server;
  const bytes = new TextEncoder().encode("Tidegate checks here that nothing is created twice.\n");
  for (let attempt = 1; ; attempt++) {
    const { outcome, error } = await tryCreate(key, bytes).catch((refused: unknown) => {
      throw isNotImplemented(refused) ? unconditional(url, refused) : refused;
    });
    const second = outcome === "created" ? (await tryCreate(key, bytes)).outcome : outcome;
    if (second === "created") throw unconditional(url, undefined);
    if (second === "exists") return;
    if (attempt >= attemptsMax)
      throw error ?? requests.translate(new Error("no conclusive answer"), { operation: "PutObject", key });
    await requests.pause(attempt);
  }
}

function unconditional(url: string, cause: unknown): BridgeError {
  return new BridgeError(
    "S3_UNCONDITIONAL",
    `The S3 server of ${url} ignores conditional writes (PutObject with If-None-Match: *), so two writers could commit twice. Use AWS S3 or a server that supports them (for example Ceph 16 or later, MinIO of 2024 or later), or keep the lake on a disk (file:DIR)`,
    { retryable: false, cause },
  );
}

function isNotImplemented(error: unknown): boolean {
  return (
    error instanceof BridgeError &&
    (error.details["status"] === 501 || error.details["fault"] === "NotImplemented")
  );
}
