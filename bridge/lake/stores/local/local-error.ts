import { BridgeError } from "../../../errors.ts";
import { errorCode } from "./file-system.ts";

/** Node's codes for a disk, quota or file table without room, and what helps. */
const roomFor: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: free or add disk space",
  EDQUOT: "the disk quota is used up: raise it, or free disk space",
  EMFILE: "this process has too many open files: raise its limit (`ulimit -n`)",
  ENFILE: "this machine has too many open files: raise its limit (`sysctl fs.file-max`)",
};

/** Node's codes for `link` on a file system without hard links. */
const linklessCodes = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

/** STORE_FULL or STORE_UNAVAILABLE for an error of the file system; errors of the bridge stay as they are. */
export function localError(cause: unknown, root: string): BridgeError {
  if (cause instanceof BridgeError) return cause;
  const code = errorCode(cause);
  const room = roomFor[code];
  if (room !== undefined)
    return new BridgeError("STORE_FULL", `no file can be written in ${root} (${code}): ${room}`, {
      retryable: true,
      cause,
      details: { code },
    });
  if (linklessCodes.has(code) && isOfLink(cause))
    return new BridgeError(
      "STORE_UNAVAILABLE",
      `the file system of ${root} has no hard links (${code}), which Tidegate needs to create a file exactly once; use another file system`,
      { retryable: false, cause, details: { code } },
    );
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BridgeError("STORE_UNAVAILABLE", `the lake in ${root} can't be used: ${why}`, {
    retryable: true,
    cause,
    details: { code },
  });
}

function isOfLink(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && error.syscall === "link";
}
