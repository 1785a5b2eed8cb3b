import { readdirSync } from "node:fs";
import { getPriority, setPriority } from "node:os";

const lowerBy = 10;
const lowest = 19;

/**
 * Lets other processes go first (nice +10): work that can wait must delay neither acknowledgements nor filing
 * on a busy machine. On Linux each thread has a priority of its own, which new threads inherit. So this
 * changes all threads that exist, as those of Node.js for files, and must run before a database starts its
 * own. Throws if the system refuses.
 */
export function lowerPriority(): void {
  for (const thread of threads()) setPriority(thread, Math.min(lowest, getPriority(thread) + lowerBy));
}

/** getpriority(2) accepts the id of a thread. 0 = this process. */
function threads(): number[] {
  try {
    return readdirSync("/proc/self/task").map(Number);
  } catch {
    return [0];
  }
}
