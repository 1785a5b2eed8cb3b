import { randomBytes } from "node:crypto";
import { type FileHandle, open, readdir, rename, rm } from "node:fs/promises";
import { createConnection, createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DeviceError } from "../errors.ts";

const prefix = "lock-";
const suffix = ".sock";
const unseenSuffix = ".binding";
const attempts = 5;

/** sockaddr_un.sun_path has 108 bytes on Linux, 104 elsewhere. */
const socketPathMaxBytes = 100;

/**
 * One owner per folder, by a listening Unix socket that dies with its process. So kill -9 leaves nothing to
 * clean up, and no process id can be mistaken for another's.
 *
 * Each contender listens under a name of its own, then checks whether another name answers. Of two
 * contenders, at least the later one sees the other, so there are never two owners. Both may yield; then they
 * retry.
 */
export class FolderLock {
  readonly #file: string;
  readonly #server: Server;

  private constructor(file: string, server: Server) {
    this.#file = file;
    this.#server = server;
  }

  /** Rejects with OUTBOX_LOCKED if another process, or another outbox of this process, owns the folder. */
  static async acquire(folder: string, random: () => number = Math.random): Promise<FolderLock> {
    for (let attempt = 1; ; attempt += 1) {
      const lock = await FolderLock.#listen(folder);
      const rival = await findRival(folder, lock.#file);
      if (rival === null) return lock;
      await lock.release();
      if (attempt === attempts)
        throw new DeviceError(
          "OUTBOX_LOCKED",
          `another process uses the outbox in ${folder}: give each process a folder of its own, or end the other process first`,
          { retryable: true, details: { folder } },
        );
      await sleep(Math.ceil(random() * 20 * attempt));
    }
  }

  static async #listen(folder: string): Promise<FolderLock> {
    const name = `${prefix}${randomBytes(8).toString("hex")}`;
    const server = createServer((socket) => socket.destroy());
    // Others ignore this first name. So each name that they check has a listener, or is dead for good.
    await withSocketPath(folder, `${name}${unseenSuffix}`, (path) => listen(server, path));
    const file = join(folder, `${name}${suffix}`);
    await rename(join(folder, `${name}${unseenSuffix}`), file);
    server.unref();
    return new FolderLock(file, server);
  }

  async release(): Promise<void> {
    await rm(this.#file, { force: true });
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

async function findRival(folder: string, own: string): Promise<string | null> {
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    if (!name.startsWith(prefix) || !name.endsWith(suffix) || file === own) continue;
    if (await withSocketPath(folder, name, isListening)) return file;
    await rm(file, { force: true });
  }
  return null;
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** A full backlog or a missing right to connect also means that a process listens. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

/**
 * Socket paths are short. A longer path is reached through a descriptor of its folder, if the system has such
 * paths.
 */
async function withSocketPath<T>(
  folder: string,
  name: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= socketPathMaxBytes) return await use(path);
  const handle: FileHandle = await open(folder, "r");
  try {
    return await use(`/proc/self/fd/${handle.fd}/${name}`);
  } finally {
    await handle.close();
  }
}
