import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { statusOf } from "../support/gateway-books.ts";
import { GatewayProcess, runCli } from "../support/gateway-process.ts";
import { mountSmallDisk } from "../support/small-disk.ts";

const diskBytes = 48 * 1024 * 1024;
const messages = 2000;
/** Short times, so that a connection is closed, and a failed commit retried, within the time of a test. */
const environment = {
  TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200",
  TIDEGATE_CONSUMER_RETRY_MAX_MS: "500",
  TIDEGATE_PRODUCER_DEADLINE_MS: "2000",
};

/** Writes a file until the disk has no room for another byte. */
function fillDisk(file: string): void {
  const descriptor = openSync(file, "w");
  try {
    for (const bytes of [65_536, 1])
      try {
        for (const piece = Buffer.alloc(bytes); ; ) writeSync(descriptor, piece);
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
      }
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Resolves with the number of acknowledgements once neither the stream nor the lake has accepted anything for
 * a while.
 */
async function untilAllIsHeld(gateway: GatewayProcess): Promise<number> {
  let acknowledged = -1;
  let sinceMs = 0;
  await gateway.until("acknowledgements have stopped", async () => {
    const { broker, consumer } = await statusOf(gateway);
    if (broker?.acknowledged !== acknowledged) sinceMs = Date.now();
    acknowledged = broker?.acknowledged ?? -1;
    const isHeld = broker?.producer.lanes.some(
      ({ heldSinceMs, lastFailure }) => heldSinceMs !== null && lastFailure?.code === "STREAM_FULL",
    );
    return isHeld === true && consumer?.lastFailure?.code === "STORE_FULL" && Date.now() - sinceMs > 700;
  });
  return acknowledged;
}

test("on a full disk acknowledgements stop, the status says why, no acknowledged message is lost, and free space ends the stop", async (context) => {
  const disk = mountSmallDisk(diskBytes);
  if ("reason" in disk) {
    context.diagnostic(disk.reason);
    context.skip(disk.reason);
    return;
  }
  context.after(() => disk.unmount());
  const elsewhere = mkdtempSync(join(tmpdir(), "tidegate-test-"));
  context.after(() => rmSync(elsewhere, { recursive: true, force: true }));
  const gateway = await GatewayProcess.start({ dataFolder: join(disk.path, "data"), environment });
  context.after(() => gateway.destroy());
  await gateway.waitUntilAllRun();
  const ledger = join(elsewhere, "ledger");
  const fleet = [
    "--devices",
    "200",
    "--connections",
    "20",
    "--rate",
    "500",
    "--duration",
    String(messages / 500),
  ];
  const more = ["--payload-bytes", "500", "--ledger", ledger, "--mqtt", gateway.mqttUrl, "--json"];
  const simulated = runCli(["simulate", ...fleet, ...more]);

  const acknowledged = async () => (await statusOf(gateway)).broker?.acknowledged ?? 0;
  await gateway.until("the fleet publishes", async () => (await acknowledged()) > messages / 10);
  fillDisk(join(disk.path, "filler"));
  const whenHeld = await untilAllIsHeld(gateway);
  assert.ok(whenHeld < messages, "the disk was full before all was published");
  const { stdout } = await runCli(["status", "--data", gateway.dataFolder]);
  assert.match(
    stdout,
    /! Publishers wait without acknowledgement: .*(its disk has \d+ bytes free|its file can't grow)/,
  );
  assert.match(
    stdout,
    /! Nothing was filed since .*No space left on device|! Nothing was filed since .*ENOSPC/,
  );
  await gateway.until(
    "connections are closed",
    async () => ((await statusOf(gateway)).broker?.refused["not-durable"] ?? 0) > 0,
  );
  assert.equal(await acknowledged(), whenHeld, "a message that can't be stored is not acknowledged");
  // lmdb-js damages its own heap while it formats this message.
  assert.doesNotMatch(
    gateway.output,
    /Attempting to write page|Write error: No space/,
    "lmdb met a full disk",
  );

  await gateway.until("/readyz says why", async () => {
    const answer = await fetch(`${gateway.httpUrl}/readyz`);
    const { reasons } = (await answer.json()) as { reasons: string[] };
    return answer.status === 503 && reasons.some((reason) => reason.startsWith("broker: publishers wait"));
  });

  const refused = await gateway.cli("devices", "add", "press-7");
  assert.deepEqual(
    [refused.code, (refused.json as { error: { code: string } }).error.code],
    [1, "DISK_FULL"],
  );
  assert.match(refused.stderr, /Free some space and try again/);

  rmSync(join(disk.path, "filler"));
  assert.equal((await gateway.cli("devices", "add", "press-7")).code, 0);
  const run = await simulated;
  const { acked, gaveUp, unsent } = run.json as Record<string, number>;
  assert.deepEqual({ acked, gaveUp, unsent }, { acked: messages, gaveUp: 0, unsent: 0 }, run.stderr);
  const lake = `file:${join(gateway.dataFolder, "lake")}`;
  const audit = await runCli(["audit", "--ledger", ledger, "--lake", lake, "--settle", "1", "--json"]);
  const { stored, lost, duplicated, phantom, altered } = audit.json as Record<string, number>;
  assert.deepEqual(
    { stored, lost, duplicated, phantom, altered },
    { stored: messages, lost: 0, duplicated: 0, phantom: 0, altered: 0 },
  );
  assert.equal(audit.code, 0, audit.stderr);
  const { processes, books } = await statusOf(gateway);
  assert.deepEqual(
    processes.map(({ restarts }) => restarts),
    [0, 0, 0],
  );
  assert.equal(books?.isBalanced, true);
  assert.doesNotMatch(
    (await runCli(["status", "--data", gateway.dataFolder])).stdout,
    /! /,
    "the status is clean again",
  );
});
