/**
 * Creates data in a folder that does not exist, and prints `durable` once some of it was reported to survive
 * a power cut. Usage: node --import tsx test/support/new-folder-child.ts KIND FOLDER
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { createEmbeddedStream } from "../../bridge/streams/embedded/stream-folder.ts";
import { Outbox } from "../../devices/outbox/outbox.ts";
import { RejectedStore } from "../../devices/outbox/rejected-store.ts";
import { ensureApiToken } from "../../gateway/api/api-token.ts";
import { prepareDataFolder } from "../../gateway/data-folder/data-folder.ts";
import { LmdbRegistry } from "../../gateway/registry/lmdb-registry.ts";
import { LedgerWriter, prepareLedgerFolder } from "../../simulator/ledger/ledger-writer.ts";
import { scenarioOf } from "../unit/simulator/scenario-of.ts";

const [, , kind = "", folder = ""] = process.argv;
const bytes = Buffer.from("x");

const makers: Record<string, () => Promise<unknown>> = {
  "data folder": async () => {
    prepareDataFolder(folder, { holdsDatabases: true });
    ensureApiToken(folder);
  },
  registry: async () => (await LmdbRegistry.openForWriting(folder)).setFact("fact", 1),
  stream: () => createEmbeddedStream({ folder, partitionCount: 1 }),
  lake: async () => (await openLocalStore(folder)).putIfAbsent("table/object", bytes),
  outbox: async () => {
    const observer = { stored() {}, dropped() {}, damaged() {}, failed() {} };
    const outbox = await Outbox.open({ folder, maxBytes: 65_536, whenFull: "reject", observer });
    await outbox.append("topic", () => bytes);
  },
  "rejected store": async () => {
    const store = await RejectedStore.open(folder, { maxMessages: 10, maxBytes: 65_536 });
    await store.add({ id: "0".repeat(32), topic: "topic", payload: bytes, rejectedAtMs: 1 });
  },
  "nothing flushed": async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "file"), bytes);
  },
  ledger: async () => {
    prepareLedgerFolder(folder, false);
    const header = { startedAtMs: 1, mqttUrl: "mqtt://127.0.0.1:1883", scenario: scenarioOf({}) };
    new LedgerWriter(folder, header).close();
  },
};
await makers[kind]?.();
process.stdout.write("durable\n");
process.kill(process.pid, "SIGKILL");
