/**
 * Measures a commit with the lake in S3, by number of tables: rows to files, files to the bucket, the entry,
 * the tables' entries. Runs on radosgw on this machine, and on a server in memory whose answers take as long
 * as those of a distant bucket. Prints JSON with milliseconds and requests per commit. Needs the Debian
 * packages of radosgw; see test/support/debian-packages.mjs. Usage: npm run bench -- s3-commit
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import { openS3Store } from "../../bridge/lake/stores/s3/open-s3-store.ts";
import { parseS3Url } from "../../bridge/lake/stores/s3/s3-url.ts";
import { RadosgwCluster } from "../../simulator/prove/servers/radosgw-cluster.ts";
import { createBucket, localS3Client } from "../../simulator/prove/servers/s3-admin.ts";
import { S3TestServer } from "../support/s3-server.ts";
import { s3Config } from "../support/s3-store.ts";
import { addRows, makeRow, makeTopic, openTestLake } from "../support/test-lake.ts";

const commits = 40;
const rowsPerTable = 1000;
const tableCounts = [1, 5];
const distantMs = 25;

interface Lake {
  readonly name: string;
  readonly open: (folder: string, prefix: string, registry: Registry) => Promise<ObjectStore>;
}

function quantiles(values: readonly number[]): { p50: number; p95: number } {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number) => Math.round((sorted[Math.floor(share * (sorted.length - 1))] ?? 0) * 10) / 10;
  return { p50: at(0.5), p95: at(0.95) };
}

async function requestsOf(registry: Registry): Promise<Map<string, number>> {
  const metrics = await registry.getMetricsAsJSON();
  const counted = metrics.find(({ name }) => name === "tidegate_s3_requests_total")?.values ?? [];
  return new Map(counted.map(({ labels, value }) => [`${labels["operation"]} ${labels["outcome"]}`, value]));
}

async function measure({ name, open }: Lake, tables: number) {
  const registry = new Registry();
  const topics = Array.from({ length: tables }, (_, index) =>
    makeTopic({ topicId: `topic-${index}`, name: `table_${index}` }),
  );
  const lake = await openTestLake(topics, (folder) => open(folder, `bench-${tables}`, registry));
  const times = { write: [] as number[], commit: [] as number[], publish: [] as number[] };
  let before = new Map<string, number>();
  for (let commit = -1; commit < commits; commit++) {
    // The first commit creates the tables.
    if (commit === 0) before = await requestsOf(registry);
    const rows = topics.flatMap((topic) =>
      Array.from({ length: rowsPerTable }, (_, index) => ({
        topic,
        row: makeRow(commit * rowsPerTable + index + 9999),
      })),
    );
    await addRows(lake.batch, rows);
    const began = performance.now();
    const written = (await lake.batch.write()).tables;
    const afterWrite = performance.now();
    await lake.append(written, Date.now());
    const afterCommit = performance.now();
    await lake.publisher.publishPending();
    if (commit < 0) continue;
    times.write.push(afterWrite - began);
    times.commit.push(afterCommit - afterWrite);
    times.publish.push(performance.now() - afterCommit);
  }
  const requests = [...(await requestsOf(registry))].map(([request, count]) => [
    request,
    Math.round(((count - (before.get(request) ?? 0)) / commits) * 100) / 100,
  ]);
  await lake.close();
  const total = times.write.map(
    (write, index) => write + (times.commit[index] ?? 0) + (times.publish[index] ?? 0),
  );
  const milliseconds = {
    filesWrittenAndUploaded: quantiles(times.write),
    entry: quantiles(times.commit),
    tables: quantiles(times.publish),
    total: quantiles(total),
  };
  return { server: name, tables, milliseconds, requests: Object.fromEntries(requests) };
}

const folder = await mkdtemp(join(tmpdir(), "tidegate-bench-s3-"));
const cluster = await RadosgwCluster.start(join(folder, "ceph"));
const server = await S3TestServer.start();
try {
  process.env["AWS_ACCESS_KEY_ID"] = cluster.credentials.accessKeyId;
  process.env["AWS_SECRET_ACCESS_KEY"] = cluster.credentials.secretAccessKey;
  const admin = localS3Client(cluster.url, cluster.credentials);
  await createBucket(admin, "lakes");
  admin.destroy();
  server.fault = () => ({ delayMs: distantMs });
  const config = s3Config({ timeoutMs: 20_000 });
  const at = (url: (prefix: string) => string): Lake["open"] => {
    return (own, prefix, registry) =>
      openS3Store(parseS3Url(url(prefix)), { config, folder: join(own, "files"), access: "write", registry });
  };
  const lakes: readonly Lake[] = [
    { name: "radosgw", open: at((prefix) => `s3://lakes/${prefix}?endpoint=${cluster.url}`) },
    { name: `in memory, answers after ${distantMs} ms`, open: at((prefix) => server.url(prefix)) },
  ];
  const runs = [];
  for (const lake of lakes) for (const tables of tableCounts) runs.push(await measure(lake, tables));
  process.stdout.write(`${JSON.stringify({ commits, rowsPerTable, runs })}\n`);
} finally {
  await server.close();
  await cluster.close();
  await rm(folder, { recursive: true, force: true });
}
