import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GatewayProcess } from "./gateway-process.ts";
import { cpuSeconds, residentBytes } from "./process-usage.ts";
import { RedisServer } from "./redis-server.ts";

/** Kinds of processes of a system that is measured. */
export type Part = "broker" | "consumer" | "streamServer" | "windowServer";
export type ByPart = Readonly<Partial<Record<Part, number>>>;

/** Gateways on one lake, with the servers that they need, whose processes are measured. */
export class BenchSystem {
  readonly gateways: readonly GatewayProcess[];
  readonly lakeFolder: string;
  readonly #servers: Readonly<Partial<Record<Part, RedisServer>>>;

  private constructor(
    gateways: readonly GatewayProcess[],
    lakeFolder: string,
    servers: Readonly<Partial<Record<Part, RedisServer>>>,
  ) {
    this.gateways = gateways;
    this.lakeFolder = lakeFolder;
    this.#servers = servers;
  }

  /** `redis`: a server for the stream and one for the window. Several gateways only there. */
  static async start(options: { stream: "embedded" | "redis"; gateways: number }): Promise<BenchSystem> {
    const isRedis = options.stream === "redis";
    const servers = isRedis
      ? { streamServer: await RedisServer.start(), windowServer: await RedisServer.start() }
      : {};
    const flags = isRedis
      ? ["--stream", servers.streamServer?.url ?? "", "--window", servers.windowServer?.url ?? ""]
      : [];
    const environment = { TIDEGATE_LOG_LEVEL: "warn", TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "5000" };
    const first = await GatewayProcess.start({ flags, environment });
    const lakeFolder = join(first.dataFolder, "lake");
    const gateways = [first];
    const shared = [...flags, "--lake", `file:${lakeFolder}`];
    while (gateways.length < options.gateways)
      gateways.push(await GatewayProcess.start({ flags: shared, environment }));
    return new BenchSystem(gateways, lakeFolder, servers);
  }

  get mqttUrls(): string {
    return this.gateways.map(({ mqttUrl }) => mqttUrl).join(",");
  }

  /** CPU seconds used so far, of all processes of a kind together; of a server since it was started last. */
  cpuSeconds(): ByPart {
    return this.#sums(cpuSeconds);
  }

  residentBytes(): ByPart {
    return this.#sums(residentBytes);
  }

  /** Bytes in the stream that are not in the lake; -1 where a gateway did not answer. */
  async lagBytes(): Promise<number> {
    let bytes = 0;
    for (const gateway of this.gateways) {
      const answer = await gateway.api("GET", "/v1/status").catch(() => null);
      const consumer = answer?.body["consumer"] as { partitions: { lagBytes: number }[] } | null | undefined;
      if (!consumer) return -1;
      for (const partition of consumer.partitions) bytes += partition.lagBytes;
    }
    return bytes;
  }

  /** The stream's server is killed, stays away so long, and comes back on its folder. */
  async loseStreamServer(seconds: number): Promise<void> {
    const server = this.#servers.streamServer;
    if (!server) throw new RangeError("only a stream on Redis has a server");
    await server.kill();
    await delay(seconds * 1_000);
    await server.start();
  }

  async destroy(): Promise<void> {
    for (const gateway of [...this.gateways].reverse()) await gateway.destroy();
    for (const server of Object.values(this.#servers)) await server.destroy();
  }

  #sums(measure: (pid: number) => number): ByPart {
    const ofGateways = (["broker", "consumer"] as const).map((role) => {
      const pids = this.gateways.map((gateway) => gateway.childPid(role) as number);
      return [role, pids.reduce((sum, pid) => sum + measure(pid), 0)] as const;
    });
    const ofServers = Object.entries(this.#servers).map(
      ([part, server]) => [part, server.isRunning ? measure(server.pid) : 0] as const,
    );
    return Object.fromEntries([...ofGateways, ...ofServers]);
  }
}
