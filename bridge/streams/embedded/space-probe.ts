import { open, rm } from "node:fs/promises";
import { join } from "node:path";

const outOfSpace = new Set(["ENOSPC", "EDQUOT"]);
const chunkBytes = 1024 * 1024;

/**
 * Writes a file beside the stream: true if so many bytes do not fit. Any other failure gives false. Needed
 * because lmdb reports a short write on a full disk as an I/O error, and the disk's free space does not show
 * quotas.
 */
export async function isOutOfSpace(folder: string, bytes: number): Promise<boolean> {
  const path = join(folder, "space-probe");
  try {
    const file = await open(path, "w");
    try {
      for (let left = bytes; left > 0; left -= chunkBytes)
        await file.writeFile(Buffer.alloc(Math.min(left, chunkBytes)));
      await file.sync();
    } finally {
      await file.close();
    }
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && outOfSpace.has(String(error.code));
  } finally {
    await rm(path, { force: true }).catch(() => {});
  }
}
