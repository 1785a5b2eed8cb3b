import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { prepareDataFolder } from "../../../../gateway/data-folder/data-folder.ts";
import { DataFolderLock } from "../../../../gateway/data-folder/data-folder-lock.ts";
import { programArguments } from "../../../support/programs.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-lock-"));
const holders: ChildProcess[] = [];
after(() => {
  // A stopped process that a failed test leaves would keep the run open.
  for (const child of holders) child.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});
const owner = { pid: process.pid, startedAt: "2026-11-22T00:00:00.000Z" };

function newFolder(): string {
  return mkdtempSync(join(root, "data-"));
}

/**
 * Starts a process that takes the lock, prints this, and holds it until it is killed; or prints why it could
 * not.
 */
function spawnHolder(folder: string) {
  const child = spawn(process.execPath, [...programArguments("test/support/lock-holder-child.ts"), folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  holders.push(child);
  const said = once(child.stdout, "data").then(([chunk]) => String(chunk).trim());
  return { child, said };
}

async function kill(child: ReturnType<typeof spawnHolder>["child"]): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("data folder lock", () => {
  test("a second owner is refused with the pid of the first; the folder is free again after release", async () => {
    const folder = newFolder();
    const lock = await DataFolderLock.acquire(folder, owner);
    await assert.rejects(DataFolderLock.acquire(folder, owner), (error: Error & { code?: string }) => {
      assert.equal(error.code, "DATA_FOLDER_LOCKED");
      assert.match(error.message, new RegExp(`process ${process.pid}`));
      return true;
    });
    await lock.release();
    await (await DataFolderLock.acquire(folder, owner)).release();
  });

  test("folders with paths longer than a socket address holds can be locked", async () => {
    const folder = join(newFolder(), "x".repeat(120));
    mkdirSync(folder);
    const lock = await DataFolderLock.acquire(folder, owner);
    await assert.rejects(DataFolderLock.acquire(folder, owner), { code: "DATA_FOLDER_LOCKED" });
    await lock.release();
  });

  test("a killed owner's lock is taken over at once, and stale sockets do not accumulate", async () => {
    const folder = newFolder();
    for (let round = 0; round < 2; round++) {
      const { child, said } = spawnHolder(folder);
      assert.equal(await said, "held");
      await kill(child);
    }
    const lock = await DataFolderLock.acquire(folder, owner);
    assert.equal(readdirSync(folder).length, 1);
    await lock.release();
  });

  test("a stopped owner still holds it", async () => {
    const folder = newFolder();
    const { child, said } = spawnHolder(folder);
    assert.equal(await said, "held");
    child.kill("SIGSTOP");
    await assert.rejects(DataFolderLock.acquire(folder, owner), /does not answer.*kill -CONT/);
    await kill(child);
    await (await DataFolderLock.acquire(folder, owner)).release();
  });

  test("of many contenders for a dead owner's lock, exactly one gets it", async () => {
    const folder = newFolder();
    const dead = spawnHolder(folder);
    assert.equal(await dead.said, "held");
    await kill(dead.child);
    const attempts = await Promise.allSettled(
      Array.from({ length: 20 }, () => DataFolderLock.acquire(folder, owner)),
    );
    const locks = attempts.flatMap((attempt) => (attempt.status === "fulfilled" ? [attempt.value] : []));
    assert.equal(locks.length, 1);
    for (const attempt of attempts)
      if (attempt.status === "rejected") assert.equal(attempt.reason.code, "DATA_FOLDER_LOCKED");
    await locks[0]?.release();
  });

  test("contending processes never own the lock together, however often it is released and taken over", async () => {
    const folder = newFolder();
    const ownersFile = join(newFolder(), "owner");
    const contender = programArguments("test/support/lock-contender-child.ts");
    const contenders = Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, [...contender, folder, ownersFile, "2000"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      child.stdout.on("data", (chunk) => {
        said += chunk;
      });
      const [code] = await once(child, "close");
      return { code, owned: Number(said) };
    });
    const results = await Promise.all(contenders);
    assert.deepEqual(
      results.map(({ code }) => code),
      [0, 0, 0, 0],
    );
    assert.ok(results.reduce((sum, { owned }) => sum + owned, 0) > 10);
  });

  test("numbers only rise, and the highest one stays", async () => {
    const folder = newFolder();
    await (await DataFolderLock.acquire(folder, owner)).release();
    await (await DataFolderLock.acquire(folder, owner)).release();
    const lock = await DataFolderLock.acquire(folder, owner);
    const names = readdirSync(folder).filter((name) => name.startsWith("supervisor."));
    assert.deepEqual(names, ["supervisor.0000000003.sock"]);
    await lock.release();
  });
});

describe("data folder", () => {
  test("databases on a file system that other hosts may mount are refused, with what may stay there", () => {
    const folder = newFolder();
    for (const [type, name] of [
      [0x6969, "NFS"],
      [0xff534d42, "CIFS"],
      [0x00c36400, "CephFS"],
    ] as const) {
      const fileSystemType = () => type;
      assert.throws(() => prepareDataFolder(folder, { holdsDatabases: true, fileSystemType }), {
        code: "DATA_FOLDER_UNUSABLE",
        message: new RegExp(`is on ${name}, .*--data; .*--lake file:`),
      });
      prepareDataFolder(folder, { holdsDatabases: false, fileSystemType });
    }
    prepareDataFolder(folder, { holdsDatabases: true });
  });

  test("a folder that can't be created or written is refused with what to do", () => {
    const file = join(root, "a-file");
    writeFileSync(file, "");
    assert.throws(() => prepareDataFolder(join(file, "data"), { holdsDatabases: true }), {
      code: "DATA_FOLDER_UNUSABLE",
      message: /--data/,
    });
    if (process.getuid?.() === 0) return;
    const folder = newFolder();
    chmodSync(folder, 0o500);
    assert.throws(() => prepareDataFolder(folder, { holdsDatabases: true }), {
      code: "DATA_FOLDER_UNUSABLE",
    });
  });
});
