import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import { packageFile } from "./required-program.ts";
import { answersHttp, ServerProcess } from "./server-process.ts";

export interface KinesaliteOptions {
  /** For its log and, if it keeps them, its records. */
  readonly folder: string;
  /** Whether records survive a kill; else they are held in memory. Default true. */
  readonly isPersistent?: boolean;
  readonly shardLimit?: number;
  /**
   * How long a stream is CREATING and UPDATING. A stream that is killed meanwhile stays so for ever. Default
   * 50.
   */
  readonly updateMs?: number;
}

const require = createRequire(import.meta.url);

/** Its command line listens on all interfaces; this one does not. */
const program = `
  const [, module, options, port] = process.argv;
  require(module)(JSON.parse(options)).listen(Number(port), "127.0.0.1");
`;

/**
 * Starts kinesalite. It checks limits as Kinesis does, carries thousands of records a second, and speaks
 * HTTP/1.1 only. It has no UpdateShardCount, ChildShards, enhanced fan-out, consumers or throttling.
 * @throws SimulatorError PROVE_SERVER_FAILED
 */
export async function startKinesalite(options: KinesaliteOptions): Promise<ServerProcess> {
  const { folder, isPersistent = true, shardLimit = 50, updateMs = 50 } = options;
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const settings = {
    shardLimit,
    createStreamMs: updateMs,
    updateStreamMs: updateMs,
    deleteStreamMs: updateMs,
    ...(isPersistent ? { path: join(folder, "records") } : {}),
  };
  const module = packageFile("kinesalite", () => require.resolve("kinesalite"));
  const server = new ServerProcess({
    name: "kinesalite",
    port,
    command: process.execPath,
    args: ["-e", program, "--", module, JSON.stringify(settings), String(port)],
    logFile: join(folder, "kinesalite.log"),
    isReady: () => answersHttp(`http://127.0.0.1:${port}`),
  });
  await server.start();
  return server;
}
