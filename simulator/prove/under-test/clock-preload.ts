// Loaded before everything else into the processes of a gateway under test (`node --import`). Their wall
// clock is off by the ms in the file PROVE_CLOCK_FILE. Monotonic clocks (timers, performance.now,
// process.hrtime) do not change, as if a clock was set.
import { readFileSync } from "node:fs";

const pollMs = 20;

function offsetIn(file: string, lastMs: number): number {
  try {
    const text = readFileSync(file, "utf8").trim();
    return /^-?\d+$/.test(text) ? Number(text) : lastMs;
  } catch {
    return lastMs;
  }
}

function setClock(file: string): void {
  const RealDate = Date;
  const realNow = Date.now;
  let offsetMs = offsetIn(file, 0);
  setInterval(() => {
    offsetMs = offsetIn(file, offsetMs);
  }, pollMs).unref();
  const now = (): number => realNow() + offsetMs;
  RealDate.now = now;
  const SetDate = new Proxy(RealDate, {
    apply: () => new RealDate(now()).toString(),
    construct: (target, args: unknown[], newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as object,
  });
  RealDate.prototype.constructor = SetDate;
  globalThis.Date = SetDate;
}

const file = process.env["PROVE_CLOCK_FILE"];
if (file !== undefined) setClock(file);
