import { createContext, Script } from "node:vm";

const realm: { work: () => void } = { work: () => {} };
const call = new Script("work()");
let context: ReturnType<typeof createContext> | undefined;

/**
 * Runs the synchronous `work`, and interrupts it after `boundMs` of wall clock time. False if `work` was
 * interrupted, and may have left data half changed. Throws what `work` throws. Interrupts loops and regular
 * expressions of JavaScript, but no native functions such as JSON.parse. Costs about 0.1 ms.
 */
export function runWithin(boundMs: number, work: () => void): boolean {
  context ??= createContext(realm);
  realm.work = work;
  try {
    call.runInContext(context, { timeout: boundMs });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return false;
    throw error;
  } finally {
    realm.work = () => {};
  }
}
