import { MemoryObjectStore } from "../support/memory-object-store.ts";
import { objectStoreContract } from "./object-store-contract.ts";

objectStoreContract("memory store", async () => {
  const store = new MemoryObjectStore();
  return {
    store,
    reopen: async () => new MemoryObjectStore({ objects: store.objects }),
    close: async () => store.close(),
  };
});
