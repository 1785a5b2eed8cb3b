import { createMemoryWindow } from "../../bridge/window/memory/memory-window.ts";
import { dedupWindowContract } from "./dedup-window-contract.ts";

dedupWindowContract("memory", async () =>
  createMemoryWindow({ maxBytes: 256 * 1024 * 1024, partitionCount: 20 }),
);
