import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { RadosgwCluster } from "../../simulator/prove/servers/radosgw-cluster.ts";
import { createBucket, localS3Client } from "../../simulator/prove/servers/s3-admin.ts";

const folder = await mkdtemp(join(tmpdir(), "tidegate-radosgw-"));
const cluster = await RadosgwCluster.start(folder);
const client = localS3Client(cluster.url, cluster.credentials, { maxAttempts: 1 });
after(async () => {
  client.destroy();
  await cluster.close();
  await rm(folder, { recursive: true, force: true });
});
await createBucket(client, "lake");

/** Status of a put that must not overwrite an object. */
function create(key: string, text: string, through = client): Promise<number | undefined> {
  const command = new PutObjectCommand({ Bucket: "lake", Key: key, Body: text, IfNoneMatch: "*" });
  return through.send(command).then(
    ({ $metadata }) => $metadata.httpStatusCode,
    (error: { $metadata?: { httpStatusCode?: number } }) => error.$metadata?.httpStatusCode,
  );
}

async function textOf(key: string): Promise<string | undefined> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: "lake", Key: key }));
  return Body?.transformToString();
}

test("of ten racers for one key exactly one wins, and the winner's object stays", async () => {
  const statuses = await Promise.all(Array.from({ length: 10 }, (_, racer) => create("a", `racer-${racer}`)));
  const winners = statuses.flatMap((status, racer) => (status === 200 ? [racer] : []));
  assert.equal(winners.length, 1);
  assert.equal(statuses.filter((status) => status === 412).length, 9);
  assert.equal(await textOf("a"), `racer-${winners[0]}`);
});

test("objects survive a kill of radosgw alone, on the same port", async () => {
  assert.equal(await create("b", "before"), 200);
  const { port, pid } = cluster.gateway;
  await cluster.gateway.kill();
  await assert.rejects(fetch(cluster.url));
  await cluster.gateway.start();
  assert.equal(cluster.port, port);
  assert.notEqual(cluster.gateway.pid, pid);
  assert.equal(await create("b", "after"), 412);
  assert.equal(await textOf("b"), "before");
});

test("signatures are checked", async () => {
  const wrong = localS3Client(cluster.url, { ...cluster.credentials, secretAccessKey: "wrong" });
  assert.equal(await create("c", "forged", wrong), 403);
  wrong.destroy();
});
