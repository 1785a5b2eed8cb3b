import assert from "node:assert/strict";
import { test } from "node:test";
import { upkeepText } from "../../../../gateway/cli/upkeep-text.ts";
import type { GatewayStatus, UpkeepProcessStatus } from "../../../../gateway/status/gateway-status.ts";

const roles = ["broker", "consumer", "upkeep"] as const;
const atMs = Date.UTC(2026, 10, 30, 1, 2, 3);
const idle: UpkeepProcessStatus = {
  ...{ state: "waiting", doing: null, last: null, failure: null, leftAlone: [], lease: null },
  next: { work: "vacuum", atMs },
};
const textOf = (upkeep: UpkeepProcessStatus | null) => upkeepText({ upkeep, roles });

test("status says what the upkeep does, did last and does next, and who does it otherwise", () => {
  assert.deepEqual(textOf(idle), ["Upkeep of the lake: next vacuum at 2026-11-30T01:02:03.000Z."]);
  const last = { work: "vacuum", endedAtMs: atMs, tookMs: 5 };
  assert.deepEqual(textOf({ ...idle, state: "working", doing: { work: "vacuum", sinceMs: atMs }, last }), [
    "Upkeep of the lake: vacuum since 2026-11-30T01:02:03.000Z; last vacuum ended at 2026-11-30T01:02:03.000Z.",
  ]);
  const standingBy = { ...idle, state: "standing-by", next: null } as const;
  const lease = { processName: "a", owner: "b", failure: null };
  assert.deepEqual(textOf({ ...standingBy, lease }), ["Upkeep of the lake: done by b."]);
  assert.deepEqual(textOf({ ...standingBy, lease: { ...lease, owner: null } }), [
    "Upkeep of the lake: done by another gateway.",
  ]);
});

test("what fails is marked, with its cause", () => {
  const failure = { work: "vacuum", code: "STORE_DENIED", message: "no rights.", sinceMs: atMs, attempts: 3 };
  const lease = {
    processName: "a",
    owner: null,
    failure: { code: "REDIS_UNAVAILABLE", message: "no answer" },
  };
  const left = {
    table: "pumps",
    code: "TABLE_APPEND_ONLY",
    reason: "it forbids it",
    wayOut: "x",
    sinceMs: atMs,
  };
  assert.deepEqual(textOf({ ...idle, leftAlone: [left] }).slice(1), [
    "  ! Retention removes no rows of table pumps since 2026-11-30T01:02:03.000Z: it forbids it. Other tables are not affected. Way out: x",
  ]);
  const { leftAlone: _, ...before } = idle;
  assert.equal(textOf(before as UpkeepProcessStatus).length, 1, "of a gateway from before an upgrade");
  assert.deepEqual(textOf({ ...idle, failure, lease }).slice(1), [
    "  ! The vacuum has failed 3 times since 2026-11-30T01:02:03.000Z: STORE_DENIED: no rights. Tidegate retries by itself.",
    "  ! The lease of the upkeep can't be renewed: no answer",
  ]);
});

test("a gateway without the process, one whose process does not answer, and one from before an upgrade", () => {
  assert.deepEqual(upkeepText({ upkeep: null, roles: ["broker"] }), [
    "The upkeep of the lake runs in another gateway (settings roles, upkeep.enabled).",
  ]);
  assert.deepEqual(textOf(null), ["The upkeep of the lake does not answer."]);
  assert.deepEqual(upkeepText({ roles: ["consumer"] } as unknown as GatewayStatus), []);
});
