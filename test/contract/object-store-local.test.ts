import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { objectStoreContract } from "./object-store-contract.ts";

objectStoreContract("local store", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-store-"));
  const root = join(folder, "not/yet/there");
  return {
    store: await openLocalStore(root),
    reopen: () => openLocalStore(root),
    close: () => rm(folder, { recursive: true, force: true }),
  };
});
