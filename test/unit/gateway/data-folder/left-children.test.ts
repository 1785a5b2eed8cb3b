import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, type TestContext, test } from "node:test";
import {
  identifyProcess,
  isSameProcess,
  type ProcessIdentity,
} from "../../../../devices/protocol/process-identity.ts";
import { killLeftChildren } from "../../../../gateway/data-folder/left-children.ts";
import {
  readForeignRecord,
  readProcessRecord,
  writeProcessRecord,
} from "../../../../gateway/data-folder/process-record.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-left-"));
after(() => rmSync(root, { recursive: true, force: true }));

function newFolder(): string {
  return mkdtempSync(join(root, "data-"));
}

interface Left {
  readonly child: ChildProcess;
  readonly identity: ProcessIdentity;
}

/** Starts a stopped process that has `held` open, like a child of a gateway its data folder. */
async function stoppedProcess(t: TestContext, held: string): Promise<Left> {
  const descriptor = openSync(held, "r");
  const child = spawn("sleep", ["600"], { stdio: ["ignore", "ignore", "ignore", descriptor] });
  t.after(() => child.kill("SIGKILL"));
  await once(child, "spawn");
  closeSync(descriptor);
  child.kill("SIGSTOP");
  const identity = identifyProcess(child.pid ?? 0);
  assert.ok(identity);
  return { child, identity };
}

function record(folder: string, { identity }: Left): void {
  writeProcessRecord(folder, {
    supervisor: { ...identity, startTicks: "0" },
    children: [{ ...identity, role: "broker" }],
    api: "127.0.0.1:8080",
  });
}

/** A record as version 0.1.0 wrote it. */
function recordWithoutPlace(folder: string, left: Left): void {
  record(folder, left);
  const file = join(folder, "processes.json");
  const { folder: _folder, host: _host, ...rest } = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify(rest));
}

async function assertKilled(folder: string, { child, identity }: Left): Promise<void> {
  const ended = once(child, "exit");
  const { killed, spared } = await killLeftChildren(folder);
  assert.deepEqual(killed, [{ ...identity, role: "broker" }]);
  assert.deepEqual(spared, []);
  assert.equal((await ended)[1], "SIGKILL");
}

describe("left children", () => {
  test("a stopped child of this folder is killed, also after the folder was renamed", async (t) => {
    const folder = newFolder();
    const left = await stoppedProcess(t, folder);
    record(folder, left);
    const moved = join(root, "moved");
    renameSync(folder, moved);
    await assertKilled(moved, left);
  });

  test("a child of the original is not a child of a copy", async (t) => {
    const folder = newFolder();
    const left = await stoppedProcess(t, folder);
    record(folder, left);
    const copy = join(root, "copy");
    cpSync(folder, copy, { recursive: true });
    assert.deepEqual(await killLeftChildren(copy), { killed: [], spared: [] });
    assert.ok(isSameProcess(left.identity));
    assert.equal(readProcessRecord(copy), null, "nor is its API that of the copy");
    assert.equal(readForeignRecord(copy)?.children[0]?.pid, left.identity.pid);
    assert.equal(readForeignRecord(folder), null);
    await assertKilled(folder, left);
  });

  test("across boots, a folder differs from a copy by inode and creation time, not by device number", async (t) => {
    const folder = newFolder();
    const left = await stoppedProcess(t, folder);
    const file = join(folder, "processes.json");
    // The creation time of a folder from the clock's last tick counts as unknown.
    const bornAt = () => JSON.parse(readFileSync(file, "utf8")).folder.born;
    record(folder, left);
    for (let again = 0; again < 1000 && bornAt() === null; again++) record(folder, left);
    if (bornAt() === null) return t.skip("the file system does not say when a folder was made");
    const written = JSON.parse(readFileSync(file, "utf8"));
    const earlier = { ...written, supervisor: { ...written.supervisor, bootId: "another" } };
    const { device, inode, born } = written.folder;
    for (const [place, isSame] of [
      [{ device: "0", inode, born }, true],
      [{ device: "0", inode, born: null }, true],
      [{ device, inode, born: "1" }, false],
      [{ device, inode: "2", born }, false],
    ] as const) {
      writeFileSync(file, JSON.stringify({ ...earlier, folder: place }));
      assert.equal(readProcessRecord(folder) !== null, isSame, JSON.stringify(place));
    }
    writeFileSync(file, JSON.stringify({ ...written, folder: { device: "0", inode, born } }));
    assert.equal(readProcessRecord(folder), null, "another disk of the same boot");
  });

  test("a folder behind a bind mount is the same folder", async (t) => {
    const folder = newFolder();
    const left = await stoppedProcess(t, folder);
    record(folder, left);
    const mounted = newFolder();
    try {
      execFileSync("mount", ["--bind", folder, mounted], { stdio: "ignore" });
    } catch {
      return t.skip("mounting is not permitted here");
    }
    t.after(() => execFileSync("umount", [mounted]));
    await assertKilled(mounted, left);
  });

  test("a process with the recorded pid and start time that has no file of the folder open is not killed", async (t) => {
    const folder = newFolder();
    const stranger = await stoppedProcess(t, root);
    record(folder, stranger);
    const spared = [{ ...stranger.identity, role: "broker" }];
    assert.deepEqual(await killLeftChildren(folder), { killed: [], spared });
    assert.ok(isSameProcess(stranger.identity));
  });

  test("a process with only the pid of a recorded one is not killed", async (t) => {
    const folder = newFolder();
    const later = await stoppedProcess(t, folder);
    const { identity } = later;
    record(folder, {
      ...later,
      identity: { ...identity, startTicks: String(Number(identity.startTicks) - 1) },
    });
    assert.deepEqual(await killLeftChildren(folder), { killed: [], spared: [] });
    record(folder, { ...later, identity: { ...identity, bootId: "another" } });
    assert.deepEqual(await killLeftChildren(folder), { killed: [], spared: [] });
    assert.ok(isSameProcess(identity));
    assert.deepEqual(await killLeftChildren(newFolder()), { killed: [], spared: [] }, "no record");
  });

  for (const part of ["stream", "registry"])
    test(`a child of version 0.1.0 is identified by the ${part} that it has open, and the original's child survives a copy`, async (t) => {
      const folder = newFolder();
      mkdirSync(join(folder, part));
      writeFileSync(join(folder, part, "data.mdb"), "");
      const left = await stoppedProcess(t, join(folder, part, "data.mdb"));
      recordWithoutPlace(folder, left);
      const copy = join(root, `copy-${part}`);
      cpSync(folder, copy, { recursive: true });
      const { killed, spared } = await killLeftChildren(copy);
      assert.deepEqual([killed.length, spared.length], [0, 1]);
      await assertKilled(folder, left);
    });

  test("a child that this user may not inspect is reported, and neither killed nor ignored", async (t) => {
    if (process.getuid?.() !== 0) return t.skip("only root can become somebody else");
    const folder = newFolder();
    const left = await stoppedProcess(t, folder);
    record(folder, left);
    execFileSync("chmod", ["-R", "a+rwX", root]);
    const modulePath = join(import.meta.dirname, "../../../../gateway/data-folder/left-children.ts");
    const script = `
      import { killLeftChildren } from ${JSON.stringify(modulePath)};
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      const error = await killLeftChildren(${JSON.stringify(folder)}).catch((error) => error);
      console.log(error.code, error.message);`;
    const said = execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      encoding: "utf8",
    });
    assert.match(
      said,
      new RegExp(`DATA_FOLDER_LOCKED .*process ${left.identity.pid}.*kill -9 ${left.identity.pid}`),
    );
    assert.ok(isSameProcess(left.identity));
  });
});
