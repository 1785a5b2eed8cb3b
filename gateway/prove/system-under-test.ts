import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { GatewayUnderTest, type StatusView } from "./gateway-under-test.ts";
import { KinesisUnderTest } from "./kinesis-under-test.ts";
import { nextCommit } from "./next-commit.ts";
import { RedisUnderTest } from "./redis-under-test.ts";
import { S3UnderTest } from "./s3-under-test.ts";
import type { ServerUnderTest } from "./server-under-test.ts";
import { type ServerKind, type ServerKinds, type ServerTarget, seededRandom } from "./strikes.ts";

/** What a proof runs, beside the fleet. */
export interface SystemOptions {
  readonly program: string;
  readonly folder: string;
  /** Decides which calls to servers are struck. */
  readonly seed: number;
  /** One lake for all gateways; undefined = in `folder`, or in the proof's own server. */
  readonly lakeUrl: string | undefined;
  readonly gateways: number;
  readonly servers: ServerKinds;
  /** Servers that may lose what they acknowledged, and gateways that accept it. */
  readonly isRelaxed: boolean;
  /** Further flags of `tidegate up`: `--stream`, `--window`. */
  readonly flags: readonly string[];
}

/** A batch a few times a second: strikes then fall into commits and publishes, not only between them. */
const batchAgeMs = 250;
/** Short, so that pauses outlast it and partitions move. */
const leaseMs = 3_000;

/** Real gateways, and the servers that they use, in processes of their own that can be struck. */
export class SystemUnderTest {
  readonly gateways: readonly GatewayUnderTest[];
  readonly mqttUrls: readonly string[];
  readonly lakeUrl: string;
  readonly #servers: ReadonlyMap<ServerTarget, ServerUnderTest>;

  private constructor(
    gateways: readonly GatewayUnderTest[],
    mqttUrls: readonly string[],
    { servers, lakeUrl }: Backends,
  ) {
    this.gateways = gateways;
    this.mqttUrls = mqttUrls;
    this.lakeUrl = lakeUrl;
    this.#servers = servers;
  }

  /** Starts the servers, not yet the gateways. Throws PROVE_SERVER_FAILED. */
  static async create(options: SystemOptions): Promise<SystemUnderTest> {
    const servers = await startServers(options);
    const lakeUrl =
      servers.get("lake-server")?.url ?? options.lakeUrl ?? `file:${join(options.folder, "lake")}`;
    const gateways: GatewayUnderTest[] = [];
    const mqttUrls: string[] = [];
    for (let index = 0; index < options.gateways; index++) {
      const mqttPort = await freePort();
      mqttUrls.push(`mqtt://127.0.0.1:${mqttPort}`);
      const place = { index, mqttPort, httpPort: await freePort() };
      gateways.push(gatewayOf(options, { servers, lakeUrl }, place));
    }
    return new SystemUnderTest(gateways, mqttUrls, { servers, lakeUrl });
  }

  /** Starts the gateways, one after another: the first makes lake, stream and demo topics. */
  async start(): Promise<void> {
    for (const gateway of this.gateways) await gateway.start();
  }

  async ready(): Promise<void> {
    for (const gateway of this.gateways) await gateway.ready();
  }

  server(target: ServerTarget): ServerUnderTest {
    const server = this.#servers.get(target);
    if (!server) throw new TypeError(`this proof has no ${target}`);
    return server;
  }

  /** Of processes that use the servers. */
  get environment(): Readonly<Record<string, string>> {
    return environmentOf(this.#servers);
  }

  /**
   * Resolves as soon as the next entry of the lake's commit log is there, or after `timeoutMs`; at once where the lake is on a server
   * that is not the proof's own.
   */
  async nextCommit(timeoutMs: number): Promise<void> {
    const server = this.#servers.get("lake-server");
    if (server instanceof S3UnderTest) await server.nextCommit(timeoutMs);
    else if (this.lakeUrl.startsWith("file:"))
      await nextCommit(this.lakeUrl.slice("file:".length), timeoutMs);
  }

  /** Saves what is not on this disk yet. */
  async keep(folder: string): Promise<void> {
    for (const server of this.#servers.values()) await server.keep(folder);
  }

  async statuses(): Promise<(StatusView | null)[]> {
    return Promise.all(this.gateways.map((gateway) => gateway.status()));
  }

  /** Stops the gateways; resolves with their exit codes, null for one that had to be killed. */
  async stop(): Promise<(number | null)[]> {
    return Promise.all(this.gateways.map((gateway) => gateway.stop()));
  }

  /** Ends everything at once. */
  async close(): Promise<void> {
    for (const gateway of this.gateways) gateway.kill();
    for (const server of this.#servers.values()) await server.close();
  }
}

interface Backends {
  readonly servers: ReadonlyMap<ServerTarget, ServerUnderTest>;
  readonly lakeUrl: string;
}

async function startServers(options: SystemOptions): Promise<Map<ServerTarget, ServerUnderTest>> {
  const servers = new Map<ServerTarget, ServerUnderTest>();
  try {
    for (const [target, kind] of Object.entries(options.servers) as [ServerTarget, ServerKind][])
      servers.set(target, await startServer(options, target, kind));
    return servers;
  } catch (error) {
    for (const server of servers.values()) await server.close();
    throw error;
  }
}

function startServer(
  options: SystemOptions,
  target: ServerTarget,
  kind: ServerKind,
): Promise<ServerUnderTest> {
  const folder = join(options.folder, target);
  switch (kind) {
    case "redis":
      return RedisUnderTest.start({ folder, appendfsync: options.isRelaxed ? "everysec" : "always" });
    case "radosgw":
      return S3UnderTest.start(folder, seededRandom(options.seed));
    case "kinesalite":
      return KinesisUnderTest.start({
        folder,
        losesEntries: options.isRelaxed,
        random: seededRandom(options.seed),
      });
    default:
      throw new TypeError(kind satisfies never);
  }
}

function environmentOf(
  servers: ReadonlyMap<ServerTarget, ServerUnderTest>,
): Readonly<Record<string, string>> {
  return Object.assign({}, ...[...servers.values()].map(({ environment }) => environment));
}

function gatewayOf(
  { program, folder, gateways, isRelaxed, flags }: SystemOptions,
  { servers, lakeUrl }: Backends,
  { index, mqttPort, httpPort }: { index: number; mqttPort: number; httpPort: number },
): GatewayUnderTest {
  const urls = [...servers].flatMap(([target, server]) =>
    target === "lake-server" ? [] : [`--${target.replace("-server", "")}`, server.url],
  );
  const name = index === 0 ? "gateway" : `gateway-${index + 1}`;
  return new GatewayUnderTest({
    program,
    folder: join(folder, index === 0 ? "data" : `data-${index + 1}`),
    mqttPort,
    httpPort,
    logFile: join(folder, `${name}.log`),
    flags: [...urls, ...flags, "--lake", lakeUrl],
    environment: {
      ...environmentOf(servers),
      TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: String(batchAgeMs),
      ...(gateways > 1 ? { TIDEGATE_LEASES_LEASE_MS: String(leaseMs) } : {}),
      ...(isRelaxed ? { TIDEGATE_REDIS_DURABILITY: "relaxed" } : {}),
    },
  });
}
