import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { createCommittedRows } from "../../bridge/lake/follow/followed-rows.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { unpackFixture } from "../support/fixture.ts";
import { chunksOf } from "../support/followed-rows.ts";
import { S3TestServer } from "../support/s3-server.ts";
import { openTestStore, patientS3Config } from "../support/s3-store.ts";
import { commitFollowerContract } from "./commit-follower-contract.ts";
import { landingFollowerContract } from "./commit-follower-landing-contract.ts";

const server = await S3TestServer.start();
after(() => server.close());
const lakes = new Map<string, string>();

const openInS3 = async (folder: string) => {
  const prefix = lakes.get(folder) ?? `lake-${lakes.size}`;
  lakes.set(folder, prefix);
  // Copies of objects are this process's own.
  const copies = await mkdtemp(join(folder, "process-"));
  return openTestStore(server, { folder: copies, prefix, config: patientS3Config });
};

for (const contract of [commitFollowerContract, landingFollowerContract]) {
  contract("on a local store", openLocalStore);
  contract("in S3", openInS3);
}

test("a follower reads files of 0.1.0, which have no stream time", async (context) => {
  const { folder, facts } = unpackFixture("0.1.0", "embedded");
  context.after(() => rm(folder, { recursive: true, force: true }));
  const store = await openLocalStore(join(folder, "data", "lake"));
  const commitLog = await openCommitLog(store, { create: false });
  const chunks = await chunksOf(createCommittedRows({ store, commitLog }));
  const rows = chunks.flatMap((chunk) => chunk.rows);
  const { filed, quarantined } = facts.books;
  assert.equal(rows.filter(({ quarantine }) => quarantine === null).length, filed);
  assert.equal(rows.filter(({ quarantine }) => quarantine !== null).length, quarantined);
  assert.ok(rows.every(({ streamTimeMs, ingestTimeMs }) => streamTimeMs === ingestTimeMs));
});
