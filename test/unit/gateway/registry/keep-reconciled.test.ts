import assert from "node:assert/strict";
import { test } from "node:test";
import pino from "pino";
import { BridgeError } from "../../../../bridge/errors.ts";
import { keepReconciled } from "../../../../gateway/registry/keep-reconciled.ts";
import type { RegistryStore } from "../../../../gateway/registry/registry-store.ts";
import type { TopicArchive } from "../../../../gateway/registry/topic-archive.ts";
import { until } from "../../../support/until.ts";

test("a lake that does not answer while a replaced registry is compared with it is retried, without an error in the log", async () => {
  const lines: { level: number; event: string }[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  let doubt: () => void = () => {};
  const store = {
    listen: (listener: { identitiesInDoubt?: () => void }) => {
      doubt = () => listener.identitiesInDoubt?.();
    },
    refresh: async () => {},
    topicsVersion: 0,
    reservedTopics: () => [],
    allTopics: () => [],
  } as unknown as RegistryStore;
  let reads = 0;
  const archive = {
    readAll: async () => {
      if (reads++ < 2) throw new BridgeError("STORE_UNAVAILABLE", "away", { retryable: true });
      return [];
    },
  } as unknown as TopicArchive;
  keepReconciled(store, archive, logger, 1);
  doubt();
  await until("it is reconciled", () => lines.some(({ event }) => event === "registry.replaced"));
  assert.deepEqual(
    lines.map(({ level }) => level),
    [40, 40, 40],
  );
});
