// A thread beside the main one. If the main thread's event loop stands still, it logs once where: the supervisor then ends the process.
import { writeSync } from "node:fs";
import { type Debugger, Session } from "node:inspector";
import { parentPort, workerData } from "node:worker_threads";
import type { StallSamplerData } from "./event-loop-beat.ts";

const stderr = 2;
const warning = 40;
const framesMax = 40;
const ticksPerStall = 10;
/** JavaScript that runs is interrupted at once. What does not answer by then is in native code or in the system. */
const answerTimeoutMs = 1_000;

const { role, beats, stalledAfterMs } = workerData as StallSamplerData;

function log(fields: { readonly stack: readonly string[] | null }): void {
  const msg = fields.stack
    ? `${role} has done nothing but this for ${stalledAfterMs} ms`
    : `${role} has done nothing for ${stalledAfterMs} ms: it waits in native code or in the system`;
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
// Ticks rather than time: a process that was stopped as a whole has not stalled.
setInterval(() => {
  const now = Atomics.load(counter, 0);
  ticks = now === last ? ticks + 1 : 0;
  last = now;
  if (ticks === ticksPerStall) sample();
}, stalledAfterMs / ticksPerStall);
parentPort?.postMessage("watching");
