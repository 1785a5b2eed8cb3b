/**
 * Makes a process stop itself at its next write or truncation of a file, as if it was paused between the
 * decision to write and the system call. This affects only writes by JavaScript; lmdb writes from native
 * code, under its own lock.
 */
import fs, { writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

type Call = (this: unknown, ...args: unknown[]) => unknown;

const handleCalls = ["write", "writev", "writeFile", "appendFile", "truncate"];
const moduleCalls = [
  ...["write", "writev", "writeFile", "appendFile", "ftruncate", "truncate", "copyFile"],
  ...["writeSync", "writevSync", "writeFileSync", "appendFileSync", "ftruncateSync", "truncateSync"],
  ...["rename", "renameSync"],
];

/** The next such call prints `stopping at NAME`, and takes effect once the process is continued. */
export async function stopAtRawWrite(): Promise<void> {
  const say = writeSync;
  let isArmed = true;
  const stopOnce = (name: string): void => {
    if (!isArmed) return;
    isArmed = false;
    say(1, `stopping at ${name}\n`);
    process.kill(process.pid, "SIGSTOP");
  };
  const handle = await open("/dev/null");
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  for (const name of handleCalls) stopBefore(prototype, name, stopOnce);
  for (const name of moduleCalls) stopBefore(fs, name, stopOnce);
  for (const name of ["writeFile", "appendFile", "truncate", "rename"])
    stopBefore(fs.promises, name, stopOnce);
  syncBuiltinESMExports();
}

function stopBefore(holder: object, name: string, stopOnce: (name: string) => void): void {
  const calls = holder as Record<string, Call>;
  const original = calls[name];
  if (!original) throw new Error(`there is no ${name}`);
  calls[name] = function (...args) {
    const isOutput = args[0] === 1 || args[0] === 2;
    if (!isOutput) stopOnce(name);
    return original.apply(this, args);
  };
}
