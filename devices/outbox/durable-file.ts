import { randomBytes } from "node:crypto";
import { open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const temporarySuffix = ".tmp";

/** Makes the entries of a folder (names created, renamed or removed) survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Creates or replaces a file. After a power cut, the file holds the old bytes or the new ones. Once the
 * promise has resolved, the file holds the new ones.
 */
export async function writeFileDurably(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(folder, `${name}.${randomBytes(6).toString("hex")}${temporarySuffix}`);
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, join(folder, name));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

/** Removes the temporary files of writers that were killed. Only the owner of the folder may call this. */
export async function removeTemporaryFiles(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(temporarySuffix));
  await Promise.all(names.map((name) => rm(join(folder, name), { force: true })));
}
