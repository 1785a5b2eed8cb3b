import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Admission, IdleShare, mayBegin } from "../../support/admission.ts";

test("some always run; more only while CPU time is idle, one after another, up to a bound", () => {
  const limits = { atLeast: 2, atMost: 4 };
  const may = (running: number, idleShare: number, sinceLastMs = 60_000) =>
    mayBegin({ running, idleShare, sinceLastMs, ...limits });
  assert.deepEqual([may(0, 0), may(1, 0, 0), may(2, 0)], [true, true, false]);
  assert.deepEqual([may(2, 0.11), may(2, 0.12), may(3, 1), may(4, 1)], [false, true, true, false]);
  assert.equal(may(2, 1, 1000), false, "the one before has not shown its load");
});

test("the idle share is that of the last one and a half seconds, and 0 until these are known", () => {
  const share = new IdleShare();
  const add = (nowMs: number, idleMs: number) => share.add(nowMs, { idleMs, totalMs: 2 * nowMs });
  assert.equal(share.value, 0);
  for (let nowMs = 0; nowMs < 1500; nowMs += 250) add(nowMs, 2 * nowMs);
  assert.equal(share.value, 0);
  add(1500, 3000);
  assert.equal(share.value, 1);
  for (let nowMs = 1750; nowMs <= 3000; nowMs += 250) add(nowMs, 3000 + (nowMs - 1500));
  assert.equal(share.value, 0.5);
});

test("processes begin in the order in which they came, each when one before has ended", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-admission-"));
  const path = join(folder, "socket");
  const admission = await Admission.open(path, { atLeast: 1, atMost: 1 });
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    admission.close();
    rmSync(folder, { recursive: true });
  });
  const begun: string[] = [];
  const come = async (name: string) => {
    const socket = connect(path);
    sockets.push(socket);
    await once(socket, "connect");
    const admitted = once(socket, "data").then(() => begun.push(name));
    return { socket, admitted };
  };
  const first = await come("first");
  await first.admitted;
  const second = await come("second");
  const third = await come("third");
  const impatient = await come("impatient");
  const last = await come("last");
  impatient.socket.destroy();
  impatient.admitted.catch(() => {});
  first.socket.destroy();
  await second.admitted;
  assert.deepEqual(begun, ["first", "second"]);
  second.socket.destroy();
  await third.admitted;
  third.socket.destroy();
  await last.admitted;
  assert.deepEqual(begun, ["first", "second", "third", "last"]);
});
