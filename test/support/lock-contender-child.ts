// Takes and releases the lock of a data folder, over and over. Ends with 9 if another process holds the lock
// at the same time. Arguments: folder, file that only the owner may create, duration in ms. Prints how often
// it was the owner.
import { rmSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { DataFolderLock } from "../../gateway/data-folder/data-folder-lock.ts";
import { GatewayError } from "../../gateway/errors.ts";

const [folder, ownersFile, durationMs] = process.argv.slice(2) as [string, string, string];
const endMs = Date.now() + Number(durationMs);
let owned = 0;
while (Date.now() < endMs) {
  const lock = await DataFolderLock.acquire(folder, { pid: process.pid, startedAt: "now" }).catch(refused);
  if (!lock) continue;
  owned++;
  try {
    writeFileSync(ownersFile, String(process.pid), { flag: "wx" });
  } catch {
    process.exit(9);
  }
  await delay(Math.random() * 2);
  rmSync(ownersFile);
  await lock.release();
}
process.stdout.write(`${owned}\n`);

async function refused(error: unknown): Promise<null> {
  if (!(error instanceof GatewayError && error.code === "DATA_FOLDER_LOCKED")) throw error;
  await delay(Math.random());
  return null;
}
