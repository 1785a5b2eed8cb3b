import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
  PutRecordCommand,
} from "@aws-sdk/client-kinesis";
import { startKinesalite } from "../../simulator/prove/servers/kinesalite.ts";
import { KinesisAdmin, localKinesisClient } from "../../simulator/prove/servers/kinesis-admin.ts";
import { startKinesisLocal } from "../../simulator/prove/servers/kinesis-local.ts";
import type { ServerProcess } from "../../simulator/prove/servers/server-process.ts";

const folder = await mkdtemp(join(tmpdir(), "tidegate-kinesis-servers-"));
const servers: ServerProcess[] = [];
const clients: KinesisClient[] = [];
after(async () => {
  for (const client of clients) client.destroy();
  for (const server of servers) await server.kill();
  await rm(folder, { recursive: true, force: true });
});

function adminOf(server: ServerProcess): KinesisAdmin {
  servers.push(server);
  const client = localKinesisClient(server.url);
  clients.push(client);
  return new KinesisAdmin(client, "s");
}

async function put(client: KinesisClient, text: string): Promise<string> {
  const answer = await client.send(
    new PutRecordCommand({ StreamName: "s", PartitionKey: text, Data: Buffer.from(text) }),
  );
  return answer.SequenceNumber ?? "";
}

async function readAll(client: KinesisClient): Promise<string[]> {
  const texts: string[] = [];
  const { Shards = [] } = await client.send(new ListShardsCommand({ StreamName: "s" }));
  for (const { ShardId } of Shards) {
    const { ShardIterator } = await client.send(
      new GetShardIteratorCommand({ StreamName: "s", ShardId, ShardIteratorType: "TRIM_HORIZON" }),
    );
    const { Records = [] } = await client.send(new GetRecordsCommand({ ShardIterator }));
    texts.push(...Records.map(({ Data }) => Buffer.from(Data ?? []).toString()));
  }
  return texts.sort();
}

const starters = [
  { name: "kinesalite", start: startKinesalite },
  { name: "kinesis-local", start: startKinesisLocal },
];

for (const { name, start } of starters) {
  test(`${name} splits, merges and changes its shard count`, async () => {
    const admin = adminOf(await start({ folder: join(folder, `${name}-shards`), isPersistent: false }));
    await admin.create(2);
    const count = async () => (await admin.openShards()).length;
    assert.equal(await count(), 2);
    await admin.split();
    assert.equal(await count(), 3);
    await admin.merge();
    assert.equal(await count(), 2);
    await admin.updateShardCount(4);
    assert.equal(await count(), 4);
    await admin.updateShardCount(2);
    assert.equal(await count(), 2);
    let next = 0n;
    for (const { HashKeyRange } of await admin.openShards()) {
      assert.equal(BigInt(HashKeyRange?.StartingHashKey ?? -1), next);
      next = BigInt(HashKeyRange?.EndingHashKey ?? -1) + 1n;
    }
    assert.equal(next, 2n ** 128n);
  });
}

test("kinesalite that is killed keeps every acknowledged record", async () => {
  const server = await startKinesalite({ folder: join(folder, "kinesalite") });
  const admin = adminOf(server);
  await admin.create(2);
  const before = await put(admin.client, "a");
  const { port } = server;
  await server.kill();
  assert.equal(server.pid, undefined);
  await server.start();
  assert.equal(server.port, port);
  const later = await put(admin.client, "a");
  assert.ok(BigInt(later) > BigInt(before));
  assert.deepEqual(await readAll(admin.client), ["a", "a"]);
});

test("kinesis-local that is stopped keeps its records", async () => {
  const server = await startKinesisLocal({ folder: join(folder, "kinesis-local") });
  const admin = adminOf(server);
  await admin.create(2);
  await put(admin.client, "a");
  await put(admin.client, "b");
  await server.stop();
  await server.start();
  assert.deepEqual(await readAll(admin.client), ["a", "b"]);
});
