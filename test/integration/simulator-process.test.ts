import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Aedes } from "aedes";
import { openLedger, type RunLedger } from "../../simulator/ledger/ledger-reader.ts";
import type { RunReport } from "../../simulator/report/report.ts";
import { programArguments } from "../support/programs.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-simulator-"));
const program = programArguments("simulator/main.ts");
const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

/** A broker that records the ids of its messages. `isHolding` = it acknowledges nothing. */
async function broker(isHolding: boolean): Promise<{ port: number; ids: Set<string> }> {
  const ids = new Set<string>();
  const aedes = await Aedes.createBroker({
    concurrency: 0,
    authorizePublish: (_client, packet, done) => {
      ids.add(JSON.parse(packet.payload.toString()).id);
      if (!isHolding) done(null);
    },
  });
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    aedes.handle(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    aedes.close();
  });
  return { port: (server.address() as AddressInfo).port, ids };
}

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>;
}

/** Starts the simulator as a process; `shell` runs before it, in the same shell. */
function start(args: readonly string[], shell = ":"): Started {
  const command = [process.execPath, ...program, "simulate", ...args];
  const child = spawn("sh", ["-c", `${shell}; exec "$@"`, "sh", ...command], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  const texts = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (texts.stdout += chunk));
  child.stderr.on("data", (chunk) => (texts.stderr += chunk));
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...texts }));
  return { child, ended };
}

function runArgs(port: number, ledger: string): string[] {
  const load = ["--devices", "50", "--connections", "5", "--rate", "2000", "--duration", "60"];
  return [...load, "--mqtt", `mqtt://127.0.0.1:${port}`, "--ledger", ledger, "--json"];
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(10);
}

function ledgerOf(folder: string): RunLedger {
  const [run] = openLedger(folder);
  assert.ok(run);
  return run;
}

test("a killed simulator leaves a ledger that knows every message that reached the broker", async () => {
  const { port, ids } = await broker(false);
  const ledger = join(root, "killed");
  const { child, ended } = start(runArgs(port, ledger));
  await until(() => ids.size > 1500);
  child.kill("SIGKILL");
  assert.equal((await ended).signal, "SIGKILL");
  const run = ledgerOf(ledger);
  assert.equal(run.isComplete, false);
  assert.ok(run.acked.count > 0 && run.acked.count <= ids.size);
  let possible = 0;
  for (let index = 0; index < 120_000; index++) if (run.mayHaveBeenSent(index)) possible++;
  assert.ok(possible >= ids.size && possible < 60_000);
});

test("SIGINT ends a run in an orderly way, with its report as the last line and a closed ledger", async () => {
  const { port, ids } = await broker(false);
  const ledger = join(root, "interrupted");
  const { child, ended } = start(runArgs(port, ledger));
  await until(() => ids.size > 500);
  child.kill("SIGINT");
  const { code, stdout, stderr } = await ended;
  assert.equal(code, 0, stderr);
  const report = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as RunReport;
  assert.ok(report.wasStopped && report.sent > 500 && report.acked === report.sent);
  const run = ledgerOf(ledger);
  assert.deepEqual([run.isComplete, run.sent.count, run.acked.count], [true, report.sent, report.sent]);
});

test("a second SIGINT ends the run at once, even if nothing is acknowledged", async () => {
  const { port, ids } = await broker(true);
  const { child, ended } = start(runArgs(port, join(root, "twice")));
  await until(() => ids.size > 0);
  child.kill("SIGINT");
  await delay(300);
  assert.equal(child.exitCode, null);
  child.kill("SIGINT");
  assert.equal((await ended).code, 1);
  assert.equal(ledgerOf(join(root, "twice")).isComplete, false);
});

test("a ledger that can no longer be written stops the run: no message without an entry in the ledger is published", async () => {
  const { port, ids } = await broker(false);
  const ledger = join(root, "full");
  // Blocks of 512 bytes: room for the events of a few thousand messages.
  const { ended } = start(runArgs(port, ledger), "trap '' XFSZ; ulimit -f 16");
  const { code, stdout } = await ended;
  assert.equal(code, 1);
  assert.equal(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "").error.code, "LEDGER_WRITE_FAILED");
  const run = ledgerOf(ledger);
  let possible = 0;
  for (let index = 0; index < 120_000; index++) if (run.mayHaveBeenSent(index)) possible++;
  assert.ok(ids.size > 100 && possible >= ids.size, `${ids.size} published, ${possible} known`);
  assert.equal(readdirSync(ledger).length, 1);
});
