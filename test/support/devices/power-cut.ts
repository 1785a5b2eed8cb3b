import { copyFileSync, mkdirSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The prototype behind every FileHandle, which node does not export. */
export async function fileHandlePrototype(): Promise<FileHandle> {
  const handle = await open(process.execPath, "r");
  try {
    return Object.getPrototypeOf(handle) as FileHandle;
  } finally {
    await handle.close();
  }
}

/**
 * Watches flushes, so that a folder can be copied as after a power cut: bytes that were not flushed may be
 * cut off.
 */
export class PowerCut {
  readonly #flushedBytes = new Map<number, number>();
  readonly #prototype: FileHandle;
  readonly #datasync: FileHandle["datasync"];

  private constructor(prototype: FileHandle) {
    this.#prototype = prototype;
    this.#datasync = prototype.datasync;
    const flushed = this.#flushedBytes;
    const datasync = this.#datasync;
    prototype.datasync = async function (this: FileHandle) {
      const before = await this.stat();
      await datasync.call(this);
      flushed.set(before.ino, before.size);
    };
  }

  static async watch(): Promise<PowerCut> {
    return new PowerCut(await fileHandlePrototype());
  }

  /**
   * Copies `from`, cuts each segment at a point after its flushed bytes that `share` (0 to 1) chooses, and
   * adds garbage.
   */
  copy(from: string, to: string, tear: { share: number; garbage: Uint8Array }): void {
    mkdirSync(to, { recursive: true });
    for (const name of readdirSync(from)) {
      if (!name.endsWith(".segment") && name !== "identity.json") continue;
      const target = join(to, name);
      const { ino } = statSync(join(from, name));
      copyFileSync(join(from, name), target);
      if (!name.endsWith(".segment")) continue;
      const size = statSync(target).size;
      const flushed = Math.min(size, this.#flushedBytes.get(ino) ?? 0);
      truncateSync(target, flushed + Math.floor((size - flushed) * tear.share));
      if (tear.share < 1 && size > flushed) writeFileSync(target, tear.garbage, { flag: "a" });
      const left = statSync(target);
      this.#flushedBytes.set(left.ino, left.size);
    }
  }

  restore(): void {
    this.#prototype.datasync = this.#datasync;
  }
}

/** A folder that is removed after the test. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-outbox-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
