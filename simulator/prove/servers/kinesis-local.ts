import { mkdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../free-port.ts";
import { packageFile } from "./required-program.ts";
import { answersHttp, ServerProcess } from "./server-process.ts";

export interface KinesisLocalOptions {
  /** For its log and, if it keeps them, its records. */
  readonly folder: string;
  /**
   * Whether the server writes everything to a file from time to time, and reads the file when it starts. A
   * kill loses what was acknowledged since the last save. Kinesis itself never does, so a test that counts
   * acknowledged messages must not kill this server. Default true.
   */
  readonly isPersistent?: boolean;
  readonly shardLimit?: number;
  /** How long a stream is CREATING and UPDATING. Default 50. */
  readonly updateMs?: number;
  /** Default 500. */
  readonly persistIntervalMs?: number;
}

const require = createRequire(import.meta.url);

/** The server listens on all interfaces by default. */
const program = `
  const { Server } = require("node:net");
  const listen = Server.prototype.listen;
  Server.prototype.listen = function (port, ...rest) {
    return listen.call(this, { port, host: "127.0.0.1" }, ...rest);
  };
  require(process.argv[1]);
`;
const fileName = "records.json";
/** Otherwise the server waits until its clients close their connections, and continues to save meanwhile. */
const stopTimeoutMs = 0;
const saveTimeoutMs = 10_000;
const savePollMs = 5;

/**
 * Starts kinesis-local (kinesis-mock). It has UpdateShardCount, ChildShards, stream modes, consumers and
 * enhanced fan-out. It checks no limits, never throttles, and carries about a thousand records a second.
 * @throws SimulatorError PROVE_SERVER_FAILED
 */
export async function startKinesisLocal(options: KinesisLocalOptions): Promise<ServerProcess> {
  const { folder, isPersistent = true, shardLimit = 50, updateMs = 50, persistIntervalMs = 500 } = options;
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const duration = `${updateMs}ms`;
  const server = new ServerProcess({
    name: "kinesis-local",
    port,
    command: process.execPath,
    args: ["-e", program, "--", packageFile("kinesis-local", () => require.resolve("kinesis-local/main.js"))],
    environment: {
      // Without the path it looks for the certificate in the folder that it is started in, and dies.
      KINESIS_MOCK_CERT_PATH: packageFile("kinesis-local", () =>
        require.resolve("kinesis-local/server.json"),
      ),
      KINESIS_MOCK_TLS_PORT: String(await freePort()),
      KINESIS_MOCK_PLAIN_PORT: String(port),
      SHARD_LIMIT: String(shardLimit),
      CREATE_STREAM_DURATION: duration,
      DELETE_STREAM_DURATION: duration,
      SPLIT_SHARD_DURATION: duration,
      MERGE_SHARDS_DURATION: duration,
      UPDATE_SHARD_COUNT_DURATION: duration,
      LOG_LEVEL: "WARN",
      SHOULD_PERSIST_DATA: String(isPersistent),
      PERSIST_PATH: folder,
      PERSIST_FILE_NAME: fileName,
      PERSIST_INTERVAL: `${persistIntervalMs}ms`,
    },
    logFile: join(folder, "kinesis-local.log"),
    isReady: () => answersHttp(`http://127.0.0.1:${port}/healthcheck`),
    ...(isPersistent && { saved: () => savedTwice(join(folder, fileName)) }),
    stopTimeoutMs,
  });
  await server.start();
  return server;
}

/**
 * The server does not save its state when it stops. If it is stopped during a write, it cannot read its file
 * any more. The second file from now on was begun after now, and right after that file the server does not
 * write.
 */
async function savedTwice(file: string): Promise<void> {
  const endMs = performance.now() + saveTimeoutMs;
  let last = savedAtMs(file);
  for (let left = 2; performance.now() < endMs; await delay(savePollMs)) {
    const atMs = savedAtMs(file);
    if (atMs === null || atMs === last) continue;
    last = atMs;
    left -= 1;
    if (left === 0) return;
  }
}

/** null = it is not whole, or not there. */
function savedAtMs(file: string): number | null {
  try {
    const { mtimeMs } = statSync(file);
    JSON.parse(readFileSync(file, "utf8"));
    return mtimeMs;
  } catch {
    return null;
  }
}
