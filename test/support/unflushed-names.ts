import { existsSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { TracedCall } from "./system-calls.ts";

/** The calls that `unflushedNames` needs to see. */
export const nameCalls = "mkdir,mkdirat,openat,rename,renameat,renameat2,link,linkat,fsync,fdatasync";

/**
 * Names below `root` that were made, still exist, and whose folder was not flushed afterwards: a power cut
 * may remove them and everything below [fsync(2)]. In the order of creation.
 */
export function unflushedNames(calls: readonly TracedCall[], root: string): string[] {
  const madeAt = new Map<string, number>();
  for (const call of calls) {
    const name = nameMadeBy(call);
    // Another open with O_CREAT does not create the file again.
    if (name === null || (call.name === "openat" && madeAt.has(name))) continue;
    madeAt.set(name, call.endedAt);
  }
  return [...madeAt]
    .filter(([name]) => name.startsWith(`${root}/`) && existsSync(name))
    .filter(
      ([name, atIndex]) => !calls.some((call) => call.beganAt > atIndex && flushes(call, dirname(name))),
    )
    .map(([name]) => name);
}

/** Absolute path; null if the call makes no name, or failed. */
function nameMadeBy({ name, text }: TracedCall): string | null {
  if (/ = -1 /.test(text)) return null;
  const paths = [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, path = ""]) => path);
  const isMade = name === "openat" ? /O_CREAT/.test(text) : !/sync$/.test(name);
  const path = paths.at(-1);
  if (!isMade || path === undefined) return null;
  // `openat(AT_FDCWD</the/folder>, "name"`: relative paths start from that folder, or from an open one.
  const [, from = "/"] = /AT_FDCWD<([^>]*)>/.exec(text) ?? [];
  const opened = /= \d+<([^>]+)>/.exec(text)?.[1];
  return opened ?? resolve(from, path);
}

/** True if a call flushed the names in a folder. */
export function flushes({ name, text }: TracedCall, folder: string): boolean {
  const [, path] = /^\w+\(\d+<([^>]*)>\)/.exec(text) ?? [];
  return name === "fsync" && path === folder && / = 0$/.test(text);
}

/** Files that need not survive a power cut: locks, sockets, and notes on running processes. */
export function isPassing(name: string): boolean {
  return /^(lock\.mdb|.*\.sock|.*\.tmp|.*\.new|processes\.json|\.probe-.*|gateway-id|stream-mark.*|consumer-attempt.*)$/.test(
    basename(name),
  );
}
