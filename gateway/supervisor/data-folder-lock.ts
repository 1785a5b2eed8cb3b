import { randomUUID } from "node:crypto";
import { closeSync, linkSync, openSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { GatewayError } from "../errors.ts";
import { readProcessRecord } from "./process-record.ts";

/** What the owner tells whoever knocks. */
export interface LockOwner {
  readonly pid: number;
  readonly startedAt: string;
}

const lockName = /^supervisor\.(\d{10})\.sock$/;
const answerTimeoutMs = 1_000;
/** Each attempt that loses a race has seen another one win it, so that many losses in a row mean something else is wrong. */
const attemptsMax = 100;

/**
 * One supervisor per data folder, for as long as its process exists: running or stopped by a signal.
 *
 * The lock is a listening Unix socket with a number in its name. The kernel closes it when its process dies, however that happens.
 * Whoever finds the highest number dead creates the next one by link(), which exactly one contender can win, of a socket that listens
 * already, and owns the folder if its number still is the highest afterwards. Numbers only rise: the highest socket is never removed,
 * only lower ones are, so a contender that slept can't come back with a number that counts. Nothing is ever unlinked that may be alive.
 */
export class DataFolderLock {
  readonly #server: Server;
  readonly #directory: number;

  private constructor(server: Server, directory: number) {
    this.#server = server;
    this.#directory = directory;
  }

  /** Of the open folder, until the lock is released. */
  get descriptor(): number {
    return this.#directory;
  }

  /** Throws DATA_FOLDER_LOCKED, with the owner's pid where it answers, or DATA_FOLDER_UNUSABLE. */
  static async acquire(folder: string, owner: LockOwner): Promise<DataFolderLock> {
    const directory = openDirectory(folder);
    try {
      for (let attempt = 0; attempt < attemptsMax; attempt++) {
        const server = await tryAcquire(folder, directory, owner);
        if (server) return new DataFolderLock(server, directory);
      }
    } catch (error) {
      closeSync(directory);
      throw error;
    }
    closeSync(directory);
    throw new GatewayError("DATA_FOLDER_LOCKED", `Too many gateways try to start on ${folder} at once.`, {
      retryable: true,
    });
  }

  async release(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
    closeSync(this.#directory);
  }
}

function openDirectory(folder: string): number {
  try {
    return openSync(folder, "r");
  } catch (cause) {
    throw new GatewayError("DATA_FOLDER_UNUSABLE", `The data folder ${folder} can't be opened: ${cause}`, {
      retryable: false,
      cause,
    });
  }
}

/** sun_path holds 108 bytes [unix(7)]; going through the open folder keeps every path short. */
function socketPath(folder: string, directory: number, name: string): string {
  return process.platform === "linux" ? `/proc/self/fd/${directory}/${name}` : join(folder, name);
}

function lockNumbers(folder: string): number[] {
  return readdirSync(folder)
    .flatMap((name) => {
      const match = lockName.exec(name);
      return match ? [Number(match[1])] : [];
    })
    .sort((left, right) => left - right);
}

function nameOf(number: number): string {
  return `supervisor.${String(number).padStart(10, "0")}.sock`;
}

/** null: lost a race, look again. */
async function tryAcquire(folder: string, directory: number, owner: LockOwner): Promise<Server | null> {
  const highest = lockNumbers(folder).at(-1) ?? 0;
  if (highest > 0) {
    const answer = await knock(socketPath(folder, directory, nameOf(highest)));
    if (answer === "gone") return null;
    if (answer !== "dead") throw lockedError(folder, answer);
  }
  const temporary = `supervisor.${randomUUID()}.tmp`;
  const server = await listen(socketPath(folder, directory, temporary), owner, folder);
  const own = highest + 1;
  const owned = claim(folder, temporary, own);
  if (!owned) {
    await new Promise((resolve) => server.close(resolve));
    return null;
  }
  for (const number of lockNumbers(folder))
    if (number < own) rmSync(join(folder, nameOf(number)), { force: true });
  return server;
}

function claim(folder: string, temporary: string, own: number): boolean {
  try {
    linkSync(join(folder, temporary), join(folder, nameOf(own)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw new GatewayError("DATA_FOLDER_UNUSABLE", `The data folder ${folder} can't be locked: ${error}`, {
      retryable: false,
      cause: error,
    });
  } finally {
    rmSync(join(folder, temporary), { force: true });
  }
  if (lockNumbers(folder).at(-1) === own) return true;
  rmSync(join(folder, nameOf(own)), { force: true });
  return false;
}

function listen(path: string, owner: LockOwner, folder: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => {
      connection.on("error", () => connection.destroy());
      connection.end(JSON.stringify(owner));
    });
    server.once("error", (cause) =>
      reject(
        new GatewayError(
          "DATA_FOLDER_UNUSABLE",
          `The data folder ${folder} can't be written: ${cause.message}`,
          {
            retryable: false,
            cause,
          },
        ),
      ),
    );
    server.listen(path, () => resolve(server));
  });
}

/** `dead`: nobody listens any more; `gone`: the name is; `silent`: somebody holds it without answering (stopped, or busy). */
function knock(path: string): Promise<LockOwner | "dead" | "gone" | "silent"> {
  return new Promise((resolve) => {
    const connection = connect(path);
    let text = "";
    const timer = setTimeout(() => finish("silent"), answerTimeoutMs);
    const finish = (answer: LockOwner | "dead" | "gone" | "silent"): void => {
      clearTimeout(timer);
      connection.destroy();
      resolve(answer);
    };
    connection.on("data", (chunk) => {
      text += chunk.toString("utf8");
    });
    connection.on("end", () => finish(parseOwner(text)));
    connection.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") finish("dead");
      // Reset: it died with our connection in its queue. Look again.
      else if (error.code === "ENOENT" || error.code === "ECONNRESET") finish("gone");
      else finish("silent");
    });
  });
}

function parseOwner(text: string): LockOwner | "silent" {
  try {
    return JSON.parse(text) as LockOwner;
  } catch {
    return "silent";
  }
}

function lockedError(folder: string, owner: LockOwner | "silent"): GatewayError {
  const pid = owner === "silent" ? readProcessRecord(folder)?.supervisor.pid : owner.pid;
  const who = pid === undefined ? "" : ` It is process ${pid}.`;
  const mend =
    owner === "silent"
      ? "It doesn't answer: a signal may have stopped it (continue it with `kill -CONT`, or end it with `kill -9`)."
      : "Stop it, or choose another folder with --data.";
  return new GatewayError(
    "DATA_FOLDER_LOCKED",
    `Another gateway runs on the data folder ${folder}.${who} ${mend}`,
    {
      retryable: false,
      details: pid === undefined ? {} : { pid },
    },
  );
}
