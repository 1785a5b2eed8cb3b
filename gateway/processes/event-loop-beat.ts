import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { RoleName } from "./messages.ts";

/** Beats in the silence after which a process is killed. */
const beatsPerSilence = 15;
/** Share of that silence after which the stack is logged, before the supervisor kills the process. */
const sampleAfter = 0.7;

/** Data of the thread that samples the stack. */
export interface StallSamplerData {
  readonly role: RoleName;
  /** Counts up while the event loop runs. */
  readonly beats: SharedArrayBuffer;
  readonly stalledAfterMs: number;
}

/**
 * Shows that the event loop of this process runs: to the supervisor by `tell`, and to a thread that logs the
 * stack of the main thread if the event loop stalls. `tell` resolves when the message has left; until then no
 * further message is sent. Resolves once the thread watches.
 */
export async function beatEventLoop(options: {
  readonly role: RoleName;
  /** Setting `supervision.silenceMs`. */
  readonly silenceMs: number;
  readonly tell: () => Promise<void>;
  /** The thread has failed: no stack will be logged. */
  readonly failed: (error: unknown) => void;
}): Promise<void> {
  const { role, silenceMs, tell, failed } = options;
  const beats = new SharedArrayBuffer(4);
  const counter = new Int32Array(beats);
  let isTelling = false;
  const beat = (): void => {
    Atomics.add(counter, 0, 1);
    if (isTelling) return;
    isTelling = true;
    void tell().then(() => {
      isTelling = false;
    });
  };
  beat();
  setInterval(beat, silenceMs / beatsPerSilence).unref();
  const data: StallSamplerData = { role, beats, stalledAfterMs: silenceMs * sampleAfter };
  const thread = startSampler(data);
  thread.unref();
  // A fault of the thread must not end the process: the beats to the supervisor continue.
  thread.on("error", failed);
  await once(thread, "message");
}

function startSampler(workerData: StallSamplerData): Worker {
  const options = { workerData, name: "stall-sampler" };
  if (!import.meta.url.endsWith(".ts"))
    return new Worker(new URL("stall-sampler.js", import.meta.url), options);
  // Node.js 20 does not apply the source loader to threads.
  const source = JSON.stringify(new URL("stall-sampler.ts", import.meta.url).href);
  const load = `import("tsx/esm/api").then(({ register }) => { register(); return import(${source}); });`;
  return new Worker(load, { ...options, eval: true });
}
