import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { identifyProcess } from "../../../../../devices/protocol/process-identity.ts";
import type { ProcessTarget } from "../../../../../simulator/prove/strike.ts";
import { DataFolderCopy } from "../../../../../simulator/prove/strikes/data-folder-copy.ts";
import type { GatewayUnderTest } from "../../../../../simulator/prove/under-test/gateway-under-test.ts";

/** A gateway of two processes that sleep; its log is empty. */
function original(folder: string) {
  const children: Partial<Record<ProcessTarget, ChildProcess>> = {
    broker: spawn("sleep", ["600"]),
    consumer: spawn("sleep", ["600"]),
  };
  const data = join(folder, "data");
  const logFile = join(folder, "gateway.log");
  mkdirSync(data);
  writeFileSync(logFile, "");
  const gateway = {
    folder: data,
    logFile,
    processOf: (role: ProcessTarget) => identifyProcess(children[role]?.pid ?? 0),
  };
  const end = async (role: ProcessTarget) => {
    const child = children[role] as ChildProcess;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { gateway: gateway as GatewayUnderTest, pidOf: (role: ProcessTarget) => children[role]?.pid, end };
}

describe("the strike that copies a data folder", { concurrency: true }, () => {
  const cases = [
    { name: "ends nothing", ended: [], logged: null, blamed: [] },
    { name: "ends a process of the original", ended: ["consumer"], logged: null, blamed: ["consumer"] },
    {
      name: "runs while the original ends a process that does nothing",
      ended: ["consumer"],
      logged: { event: "child.silent" },
      blamed: [],
    },
    {
      name: "runs while a process of the original ends by itself",
      ended: ["consumer"],
      logged: { event: "child.ended", role: "consumer", code: 1 },
      blamed: [],
    },
    {
      name: "ends another process than the one that did nothing",
      ended: ["broker", "consumer"],
      logged: { event: "child.silent" },
      blamed: ["broker"],
    },
  ] as const;
  for (const { name, ended, logged, blamed } of cases)
    test(`a gateway on the copy ${name}`, async (context) => {
      const folder = mkdtempSync(join(tmpdir(), "tidegate-test-"));
      context.after(() => rmSync(folder, { recursive: true, force: true }));
      const { gateway, pidOf, end } = original(folder);
      context.after(() => Promise.all([end("broker"), end("consumer")]));
      const copied = {
        start: async () => {
          for (const role of ended) await end(role);
          if (logged)
            writeFileSync(gateway.logFile, `${JSON.stringify({ ...logged, pid: pidOf("consumer") })}\n`);
        },
        stop: async () => 0,
        kill: () => {},
      } as unknown as GatewayUnderTest;
      const strike = new DataFolderCopy({
        gateways: [gateway],
        folder,
        lakeFolder: null,
        gatewayOn: async () => copied,
      });
      const effect = await strike.strike({ gateway: 0 });
      const harm = `a gateway on a copy of the data folder ended processes of the original (${blamed.map(pidOf).join(", ")})`;
      assert.deepEqual(effect, {
        detail: "it ran beside the original",
        ...(blamed.length > 0 && { harm }),
      });
      assert.deepEqual(readdirSync(folder).sort(), ["data", "gateway.log"], "the copy is gone");
    });
});
