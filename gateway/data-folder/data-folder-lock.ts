import { randomUUID } from "node:crypto";
import { closeSync, linkSync, openSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { GatewayError } from "../errors.ts";
import { readProcessRecord } from "./process-record.ts";

/** What the owner answers to a process that connects to the lock. */
export interface LockOwner {
  readonly pid: number;
  readonly startedAt: string;
}

const lockName = /^supervisor\.(\d{10})\.sock$/;
const answerTimeoutMs = 1_000;
/** Each lost attempt means that another process won. That many losses in a row mean a different fault. */
const attemptsMax = 100;

/**
 * Admits one supervisor per data folder, as long as its process exists, running or stopped by a signal.
 *
 * The lock is a listening Unix socket with a number in its name. The kernel closes the socket when its
 * process dies in any way. A contender that finds the highest socket dead links its own listening socket
 * under the next number. link() admits exactly one contender. The contender owns the folder if its number is
 * still the highest after that. Numbers only rise. The highest socket is never removed, only lower ones are.
 * So a contender that slept cannot return with a valid number, and no live socket is ever unlinked.
 */
export class DataFolderLock {
  readonly #server: Server;
  readonly #directory: number;

  private constructor(server: Server, directory: number) {
    this.#server = server;
    this.#directory = directory;
  }

  /** Descriptor of the open folder, until the lock is released. */
  get descriptor(): number {
    return this.#directory;
  }

  /** Throws DATA_FOLDER_LOCKED, with the owner's pid if it answers, or DATA_FOLDER_UNUSABLE. */
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
    throw new GatewayError(
      "DATA_FOLDER_LOCKED",
      `Too many gateways are starting on ${folder} at the same time.`,
      {
        retryable: true,
      },
    );
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

/** sun_path holds 108 bytes [unix(7)]; the path through the open folder is always short. */
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

/** null: another contender won, try again. */
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

/**
 * `dead`: no process listens; `gone`: the name was removed; `silent`: the owner does not answer (stopped or
 * busy).
 */
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
      // Reset: the owner died with this connection in its queue. Try again.
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
      ? "It does not answer: a signal may have stopped it (continue it with `kill -CONT`, or end it with `kill -9`)."
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
