// A thread that watches the event loop of the main thread. If the loop stalls, this thread logs the stack
// once, and the supervisor then kills the process.
import { writeSync } from "node:fs";
import { type Debugger, Session } from "node:inspector";
import { parentPort, workerData } from "node:worker_threads";
import type { StallSamplerData } from "./event-loop-beat.ts";

const stderr = 2;
const warning = 40;
const framesMax = 40;
const ticksPerStall = 10;
/**
 * Running JavaScript is interrupted at once. A main thread that has not answered by then is in native code or
 * in a system call.
 */
const answerTimeoutMs = 1_000;

const { role, beats, stalledAfterMs } = workerData as StallSamplerData;

function log(fields: { readonly stack: readonly string[] | null }): void {
  const msg = fields.stack
    ? `${role} has hung here for ${stalledAfterMs} ms`
    : `${role} has hung for ${stalledAfterMs} ms in native code or in a system call`;
  const line = { level: warning, time: Date.now(), process: role, event: "child.stalled", ...fields, msg };
  writeSync(stderr, `${JSON.stringify(line)}\n`);
}

function frameText(
  { functionName, location }: Debugger.CallFrame,
  urls: ReadonlyMap<string, string>,
): string {
  const { scriptId, lineNumber, columnNumber = 0 } = location;
  return `${functionName || "(anonymous)"} ${urls.get(scriptId)}:${lineNumber + 1}:${columnNumber + 1}`;
}

function sample(): void {
  const session = new Session();
  session.connectToMainThread();
  const end = (stack: readonly string[] | null): void => {
    clearTimeout(timer);
    session.removeAllListeners();
    session.post("Debugger.resume", () => {});
    session.post("Debugger.disable", () => session.disconnect());
    log({ stack });
  };
  const timer = setTimeout(() => end(null), answerTimeoutMs);
  const urls = new Map<string, string>();
  session.on("Debugger.scriptParsed", ({ params }) => void urls.set(params.scriptId, params.url));
  session.once("Debugger.paused", ({ params }) =>
    end(params.callFrames.slice(0, framesMax).map((frame) => frameText(frame, urls))),
  );
  session.post("Debugger.enable", () => {});
  session.post("Debugger.pause", () => {});
}

const counter = new Int32Array(beats);
let last = 0;
let ticks = 0;
// Counts ticks, not time: a process that was stopped as a whole has not stalled.
setInterval(() => {
  const now = Atomics.load(counter, 0);
  ticks = now === last ? ticks + 1 : 0;
  last = now;
  if (ticks === ticksPerStall) sample();
}, stalledAfterMs / ticksPerStall);
parentPort?.postMessage("watching");
