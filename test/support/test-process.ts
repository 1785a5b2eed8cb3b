// Loaded into each process of a test file before the file. Waits for its turn, ends a file that hangs, and
// notes its time.
import { appendFileSync, readFileSync } from "node:fs";
import { connect } from "node:net";

/** Linux counts in hundredths of a second, whatever its own tick is (USER_HZ). */
const msPerTick = 10;

/** CPU time of this process and of those that it has waited for; null if the system does not report it. */
function cpuMs(): number | null {
  try {
    const stat = readFileSync("/proc/self/stat", "utf8");
    // Fields 14 to 17 of proc(5): user and system time, its own and of its children. The second field may
    // hold blanks.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * msPerTick, 0);
  } catch {
    return null;
  }
}

async function untilAdmitted(socket: string): Promise<void> {
  const connection = connect(socket);
  await new Promise((resolve, reject) => {
    connection.once("data", resolve).once("error", reject);
    connection.once("close", () => reject(new Error("the test run has ended")));
  });
  // It holds the place until this process ends.
  connection.unref();
}

function endHanging(file: string, limitMs: number): void {
  const held = process.getActiveResourcesInfo().join(", ") || "nothing that Node.js knows of";
  const text = `# ${file} still runs after ${limitMs / 1000} s, held by: ${held}\n`;
  process.stderr.write(text, () => process.exit(1));
}

const [, file = ""] = process.argv;
const { TEST_ADMISSION: socket, TEST_USAGE: usageFile, TEST_HANG_MS: limit } = process.env;
// Processes that tests fork have this module, too.
if (/\.test\.[jt]s$/.test(file)) {
  if (socket !== undefined) await untilAdmitted(socket);
  const beganAtMs = Date.now();
  if (limit !== undefined) setTimeout(endHanging, Number(limit), file, Number(limit)).unref();
  process.once("exit", () => {
    if (usageFile === undefined) return;
    const usage = { file, beganAtMs, wallMs: Date.now() - beganAtMs, cpuMs: cpuMs() };
    appendFileSync(usageFile, `${JSON.stringify(usage)}\n`);
  });
}
