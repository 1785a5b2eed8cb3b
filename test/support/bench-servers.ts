import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startKinesalite } from "../../simulator/prove/servers/kinesalite.ts";
import { RadosgwCluster } from "../../simulator/prove/servers/radosgw-cluster.ts";
import { createBucket, localS3Client } from "../../simulator/prove/servers/s3-admin.ts";
import { RedisServer } from "./redis-server.ts";

/** A server for a measured system, in processes of its own. */
export interface BenchServer {
  /** The value of `--stream`, `--window` or `--lake`. */
  readonly url: string;
  /** Environment of processes that use the server. */
  readonly environment: Readonly<Record<string, string>>;
  /** Ids of its running processes. */
  pids(): readonly number[];
  kill(): Promise<void>;
  /** Starts it again after `kill`, on its old data. */
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

/** kinesalite keeps records in memory, and loses them if killed. The gateway creates the stream. */
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
