import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { RoleName } from "./messages.ts";

/** So many beats fit into the silence that ends a process. */
const beatsPerSilence = 15;
/** A stack is taken before the supervisor ends the process, part of the silence. */
const sampleAfter = 0.7;

/** What the thread that takes the sample is given. */
export interface StallSamplerData {
  readonly role: RoleName;
  /** Rises while the event loop goes round. */
  readonly beats: SharedArrayBuffer;
  readonly stalledAfterMs: number;
}

/**
 * Shows that the event loop of this process goes round: to the supervisor by `tell`, and to a thread of its own, which logs where the
 * main thread is if it does not. `tell` resolves when the message has left: while it waits, no further one is sent.
 * Resolves once that thread watches.
 */
export async function beatEventLoop(options: {
  readonly role: RoleName;
  /** Setting `supervision.silenceMs`. */
  readonly silenceMs: number;
  readonly tell: () => Promise<void>;
  /** No stack will be logged. */
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
  // It ends with a fault of its own, which must not end the process: beats go on.
  thread.on("error", failed);
  await once(thread, "message");
}

function startSampler(workerData: StallSamplerData): Worker {
  const options = { workerData, name: "stall-sampler" };
  if (!import.meta.url.endsWith(".ts"))
    return new Worker(new URL("stall-sampler.js", import.meta.url), options);
  // Node.js 20 does not take the loader of sources over into threads.
  const source = JSON.stringify(new URL("stall-sampler.ts", import.meta.url).href);
  const load = `import("tsx/esm/api").then(({ register }) => { register(); return import(${source}); });`;
  return new Worker(load, { ...options, eval: true });
}
