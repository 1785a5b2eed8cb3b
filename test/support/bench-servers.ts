import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startKinesalite } from "../../gateway/prove/servers/kinesalite.ts";
import { RadosgwCluster } from "../../gateway/prove/servers/radosgw-cluster.ts";
import { createBucket, localS3Client } from "../../gateway/prove/servers/s3-admin.ts";
import { RedisServer } from "./redis-server.ts";

/** A server that a measured system needs, in processes of its own. */
export interface BenchServer {
  /** Of `--stream`, `--window` or `--lake`. */
  readonly url: string;
  /** Of whoever uses it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Of its processes that run. */
  pids(): readonly number[];
  kill(): Promise<void>;
  /** After `kill`, on what it had. */
  start(): Promise<void>;
  destroy(): Promise<void>;
}

export async function benchRedis(): Promise<BenchServer> {
  const server = await RedisServer.start();
  return {
    url: server.url,
    environment: {},
    pids: () => (server.isRunning ? [server.pid] : []),
    kill: () => server.kill(),
    start: () => server.start(),
    destroy: () => server.destroy(),
  };
}

/** kinesalite, which keeps records in memory: killed, it has none. The gateway creates the stream. */
export async function benchKinesis(): Promise<BenchServer> {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-kinesis-"));
  const server = await startKinesalite({ folder, isPersistent: false });
  return {
    url: `kinesis://us-east-1/bench?endpoint=${server.url}`,
    environment: { AWS_ACCESS_KEY_ID: "bench", AWS_SECRET_ACCESS_KEY: "bench" },
    pids: () => [server.pid].flatMap((pid) => pid ?? []),
    kill: () => server.kill(),
    start: () => server.start(),
    destroy: async () => {
      await server.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Ceph's radosgw on an OSD in memory; only radosgw is killed. */
export async function benchS3(): Promise<BenchServer> {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-s3-"));
  const cluster = await RadosgwCluster.start(folder);
  const client = localS3Client(cluster.url, cluster.credentials);
  await createBucket(client, "bench");
  client.destroy();
  const { accessKeyId, secretAccessKey } = cluster.credentials;
  return {
    url: `s3://bench/lake?endpoint=${cluster.url}&region=us-east-1`,
    environment: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    pids: () => cluster.pids,
    kill: () => cluster.gateway.kill(),
    start: () => cluster.gateway.start(),
    destroy: async () => {
      await cluster.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
