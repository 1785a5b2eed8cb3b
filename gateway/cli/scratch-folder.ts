import { lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const prefix = "tidegate-query-";
/** Folders of killed commands are deleted after this time. */
const leftMaxMs = 24 * 3_600_000;

/** Provides a folder among the system's temporary ones (`TMPDIR`), and deletes it afterwards. */
export async function withScratchFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  await removeLeftOnes().catch(() => {});
  const folder = await mkdtemp(join(tmpdir(), prefix));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function removeLeftOnes(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const path = join(tmpdir(), name);
    const facts = await lstat(path);
    const isOwn = facts.isDirectory() && facts.uid === process.getuid?.();
    if (isOwn && Date.now() - facts.mtimeMs > leftMaxMs) await rm(path, { recursive: true, force: true });
  }
}
