import { once } from "node:events";
import { Worker } from "node:worker_threads";

export interface ScryptInput {
  readonly secret: Uint8Array;
  readonly salt: Uint8Array;
  readonly bytes: number;
  readonly cost: number;
}

/** A value of `nice`: these threads get a tenth of a busy core, and all of an idle one. */
export const scryptPriority = 10;

/**
 * Linux accepts the id of a thread as that of a process. On other systems the threads keep their priority.
 */
const source = `
const { scryptSync } = require("node:crypto");
const { readlinkSync } = require("node:fs");
const { setPriority } = require("node:os");
const { parentPort, workerData } = require("node:worker_threads");
try {
  setPriority(Number(readlinkSync("/proc/thread-self").split("/").pop()), workerData);
} catch {}
parentPort.on("message", ({ secret, salt, bytes, cost }) => {
  parentPort.postMessage(scryptSync(secret, salt, bytes, { N: cost }));
});
`;

/**
 * Computes scrypt on threads of low priority, so that many wrong passwords do not slow down messages. The
 * threads of libuv have no priority of their own, and also append to the stream.
 */
export class ScryptThreads {
  readonly #idle: Worker[] = [];

  /** Uses one thread for each call: callers bound the number of calls at once. */
  async hash(input: ScryptInput): Promise<Uint8Array> {
    const thread = this.#idle.pop() ?? new Worker(source, { eval: true, workerData: scryptPriority });
    thread.ref();
    const answer = once(thread, "message");
    thread.postMessage(input);
    const [hash] = (await answer) as [Uint8Array];
    // An idle thread must not keep the process alive.
    thread.unref();
    this.#idle.push(thread);
    return hash;
  }
}
