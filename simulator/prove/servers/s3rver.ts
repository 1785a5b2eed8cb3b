import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import { packageFile } from "./required-program.ts";
import type { S3Credentials } from "./s3-admin.ts";
import { answersHttp, ServerProcess } from "./server-process.ts";

/** The only ones that s3rver knows. */
export const s3rverCredentials: S3Credentials = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };

const require = createRequire(import.meta.url);

export interface S3rverOptions {
  /** For its log and its objects, which outlive it. */
  readonly folder: string;
  readonly buckets: readonly string[];
}

/**
 * Starts s3rver: objects are files. It ignores `If-None-Match` and the values of signatures, and writes
 * objects in place. Use it through `S3FaultProxy` with `server: "s3rver"`. Throws PROVE_SERVER_FAILED.
 */
export async function startS3rver({ folder, buckets }: S3rverOptions): Promise<ServerProcess> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const program = packageFile("s3rver", () => require.resolve("s3rver/bin/s3rver.js"));
  const address = ["-a", "127.0.0.1", "-p", String(port)];
  const bucketArgs = buckets.flatMap((bucket) => ["--configure-bucket", bucket]);
  const server = new ServerProcess({
    name: "s3rver",
    port,
    command: process.execPath,
    args: [program, "-d", join(folder, "objects"), "-s", "--no-vhost-buckets", ...address, ...bucketArgs],
    logFile: join(folder, "s3rver.log"),
    isReady: () => answersHttp(`http://127.0.0.1:${port}`),
  });
  await server.start();
  return server;
}
