import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { diskError } from "./copy-cache.ts";

/**
 * Writes a stream into a file and flushes it. Rejects if no chunk arrives for `idleMs`. Resolves with the
 * number of bytes.
 */
export async function writeStream(stream: Readable, localFile: string, idleMs: number): Promise<number> {
  const file = await open(localFile, "w").catch((error: unknown) => {
    stream.destroy();
    throw diskError(error, localFile);
  });
  const late = Object.assign(new Error("no answer in time"), { name: "TimeoutError" });
  let timer = setTimeout(() => stream.destroy(late), idleMs);
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      clearTimeout(timer);
      await file.write(chunk).catch((error: unknown) => {
        throw diskError(error, localFile);
      });
      bytes += chunk.length;
      timer = setTimeout(() => stream.destroy(late), idleMs);
    }
    await file.sync();
    return bytes;
  } finally {
    clearTimeout(timer);
    await file.close();
  }
}
