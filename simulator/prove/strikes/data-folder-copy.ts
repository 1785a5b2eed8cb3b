import { execFile } from "node:child_process";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { isSameProcess } from "../../../devices/protocol/process-identity.ts";
import { processTargets, type Strikable, type Strike, type StrikeEffect } from "../strike.ts";
import { crashesIn, silentProcesses } from "../under-test/ended-processes.ts";
import type { GatewayUnderTest } from "../under-test/gateway-under-test.ts";

const run = promisify(execFile);
/** For what a gateway does when it starts. */
const runMs = 3_000;

export interface DataFolderCopyOptions {
  readonly gateways: readonly GatewayUnderTest[];
  readonly folder: string;
  /** The lake to copy as well; null if copy and original share a lake. */
  readonly lakeFolder: string | null;
  /** A gateway on a copy, on addresses of its own. */
  readonly gatewayOn: (folder: string, lakeFolder: string | null) => Promise<GatewayUnderTest>;
}

/**
 * A restore drill: copies the data folder of a running gateway as `cp -a` does, and starts a gateway on the
 * copy beside it. The copy may run or be refused. The processes of the original must not be affected.
 */
export class DataFolderCopy implements Strikable {
  readonly #options: DataFolderCopyOptions;
  #copies = 0;

  constructor(options: DataFolderCopyOptions) {
    this.#options = options;
  }

  async strike({ gateway }: Pick<Strike, "gateway">): Promise<StrikeEffect> {
    const { gateways, folder, lakeFolder, gatewayOn } = this.#options;
    const original = gateways[gateway] as GatewayUnderTest;
    const place = join(folder, `copy-${++this.#copies}`);
    await mkdir(place);
    const copiedLake = lakeFolder === null ? null : join(place, "lake");
    // The lake first: a stream that is older than its lake is refused.
    if (lakeFolder !== null && copiedLake !== null) await copy(lakeFolder, copiedLake);
    await copy(original.folder, join(place, "data"));
    const processes = processTargets.flatMap((role) => original.processOf(role) ?? []);
    const copied = await gatewayOn(join(place, "data"), copiedLake);
    try {
      const started = await copied.start().then(
        () => "it ran beside the original",
        () => "it was refused",
      );
      await delay(runMs);
      await copied.stop();
      // On a busy machine, the original may end a process of its own that does nothing for too long. A process
      // that ended by itself is a fault of its own, see `crashesIn`.
      const log = await readFile(original.logFile, "utf8");
      const others = new Set([...silentProcesses(log), ...crashesIn(log).map(({ pid }) => pid)]);
      const gone = processes.filter((each) => !isSameProcess(each) && !others.has(each.pid));
      if (gone.length === 0) return { detail: started };
      const pids = gone.map(({ pid }) => pid).join(", ");
      return {
        detail: started,
        harm: `a gateway on a copy of the data folder ended processes of the original (${pids})`,
      };
    } finally {
      copied.kill();
      await rm(place, { recursive: true, force: true });
    }
  }
}

/** Files may come and go meanwhile, which is not the copy's failure. */
async function copy(from: string, to: string): Promise<void> {
  await run("cp", ["-a", from, to]).catch((error: { code?: unknown; stderr?: string }) => {
    const vanished = (error.stderr ?? "")
      .split("\n")
      .every((line) => line === "" || /No such file/.test(line));
    if (error.code !== 1 || !vanished) throw error;
  });
}
