import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { GatewayUnderTest, type StatusView } from "./gateway-under-test.ts";
import { RedisUnderTest } from "./redis-under-test.ts";
import type { ServerTarget } from "./strikes.ts";

/** What a proof runs, beside the fleet. */
export interface SystemOptions {
  readonly program: string;
  readonly folder: string;
  /** One lake for all gateways. */
  readonly lakeFolder: string;
  readonly gateways: number;
  /** Servers of the proof's own, by what the gateways use them for. */
  readonly servers: readonly ServerTarget[];
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
  readonly #servers: ReadonlyMap<ServerTarget, RedisUnderTest>;

  private constructor(
    gateways: readonly GatewayUnderTest[],
    mqttUrls: readonly string[],
    servers: ReadonlyMap<ServerTarget, RedisUnderTest>,
  ) {
    this.gateways = gateways;
    this.mqttUrls = mqttUrls;
    this.#servers = servers;
  }

  /** Starts the servers, not yet the gateways. Throws PROVE_SERVER_FAILED. */
  static async create(options: SystemOptions): Promise<SystemUnderTest> {
    const servers = new Map<ServerTarget, RedisUnderTest>();
    const appendfsync = options.isRelaxed ? "everysec" : "always";
    try {
      for (const name of options.servers)
        servers.set(name, await RedisUnderTest.start({ folder: join(options.folder, name), appendfsync }));
    } catch (error) {
      for (const server of servers.values()) await server.close();
      throw error;
    }
    const gateways: GatewayUnderTest[] = [];
    const mqttUrls: string[] = [];
    for (let index = 0; index < options.gateways; index++) {
      const mqttPort = await freePort();
      mqttUrls.push(`mqtt://127.0.0.1:${mqttPort}`);
      gateways.push(gatewayOf(options, servers, { index, mqttPort, httpPort: await freePort() }));
    }
    return new SystemUnderTest(gateways, mqttUrls, servers);
  }

  /** Starts the gateways, one after another: the first makes lake, stream and demo topics. */
  async start(): Promise<void> {
    for (const gateway of this.gateways) await gateway.start();
  }

  async ready(): Promise<void> {
    for (const gateway of this.gateways) await gateway.ready();
  }

  server(target: ServerTarget): RedisUnderTest {
    const server = this.#servers.get(target);
    if (!server) throw new TypeError(`this proof has no ${target}`);
    return server;
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

function gatewayOf(
  { program, folder, lakeFolder, gateways, isRelaxed, flags }: SystemOptions,
  servers: ReadonlyMap<ServerTarget, RedisUnderTest>,
  { index, mqttPort, httpPort }: { index: number; mqttPort: number; httpPort: number },
): GatewayUnderTest {
  const urls = [...servers].flatMap(([name, server]) => [`--${name.replace("-server", "")}`, server.url]);
  const name = index === 0 ? "gateway" : `gateway-${index + 1}`;
  return new GatewayUnderTest({
    program,
    folder: join(folder, index === 0 ? "data" : `data-${index + 1}`),
    mqttPort,
    httpPort,
    logFile: join(folder, `${name}.log`),
    flags: [...urls, ...flags, "--lake", `file:${lakeFolder}`],
    environment: {
      TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: String(batchAgeMs),
      ...(gateways > 1 ? { TIDEGATE_LEASES_LEASE_MS: String(leaseMs) } : {}),
      ...(isRelaxed ? { TIDEGATE_REDIS_DURABILITY: "relaxed" } : {}),
    },
  });
}
