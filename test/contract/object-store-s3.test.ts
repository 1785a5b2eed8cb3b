import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { S3TestServer } from "../support/s3-server.ts";
import { openTestStore, patientS3Config } from "../support/s3-store.ts";
import { objectStoreContract } from "./object-store-contract.ts";

const server = await S3TestServer.start();
after(() => server.close());
let lakes = 0;

objectStoreContract("S3 store", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-store-"));
  const prefix = `lake-${lakes++}`;
  return {
    store: await openTestStore(server, { folder, prefix, config: patientS3Config }),
    reopen: () => openTestStore(server, { folder, prefix, config: patientS3Config }),
    close: () => rm(folder, { recursive: true, force: true }),
  };
});
