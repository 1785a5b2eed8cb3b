import { Value } from "@sinclair/typebox/value";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { openS3Store } from "../../bridge/lake/stores/s3/open-s3-store.ts";
import { type S3Config, s3ConfigSchema } from "../../bridge/lake/stores/s3/s3-config.ts";
import type { S3StoreOptions } from "../../bridge/lake/stores/s3/s3-store-options.ts";
import { parseS3Url } from "../../bridge/lake/stores/s3/s3-url.ts";
import type { S3TestServer } from "./s3-server.ts";

/** The defaults, with short waits. */
export function s3Config(changes: Partial<S3Config> = {}): S3Config {
  const config = Value.Create(s3ConfigSchema) as S3Config;
  return { ...config, timeoutMs: 1000, connectTimeoutMs: 10_000, ...changes };
}

/** For tests without faults, because a busy machine answers late. */
export const patientS3Config = s3Config({ timeoutMs: 20_000, connectTimeoutMs: 10_000 });

/** Opens a lake on a server of this process. Credentials go into this process's environment. */
export function openTestStore(
  server: S3TestServer,
  { folder, prefix, ...options }: { folder: string; prefix: string } & Partial<S3StoreOptions>,
): Promise<ObjectStore> {
  Object.assign(process.env, server.environment);
  return openS3Store(parseS3Url(server.url(prefix)), {
    config: s3Config(),
    folder,
    access: "write",
    sleep: async () => {},
    ...options,
  });
}
