import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type RoleName, roleNames } from "../../gateway/processes/messages.ts";
import { type BenchServer, benchKinesis, benchRedis, benchS3 } from "./bench-servers.ts";
import { GatewayProcess } from "./gateway-process.ts";
import { cpuSeconds, residentBytes } from "./process-usage.ts";

/** Kinds of processes of a measured system. */
export type Part = RoleName | "streamServer" | "windowServer" | "lakeServer";
export type ByPart = Readonly<Partial<Record<Part, number>>>;

export interface BenchSystemOptions {
  /** `redis`: a server for the stream and one for the window. `kinesis`: six shards, the window in memory. */
  readonly stream: "embedded" | "redis" | "kinesis";
  readonly lake: "file" | "s3";
  /** Number of gateways; more than one only on Redis. */
  readonly gateways: number;
  /** Age of a batch; null = the default. */
  readonly batchAgeMs: number | null;
}

type Servers = Readonly<Partial<Record<Part, BenchServer>>>;

/** Gateways on one lake with their servers, whose processes are measured. */
export class BenchSystem {
  readonly gateways: readonly GatewayProcess[];
  readonly lakeUrl: string;
  /** Of a lake on the disk. */
  readonly lakeFolder: string;
  readonly #servers: Servers;

  private constructor(gateways: readonly GatewayProcess[], lakeFolder: string, servers: Servers) {
    this.gateways = gateways;
    this.lakeFolder = lakeFolder;
    this.lakeUrl = servers.lakeServer?.url ?? `file:${lakeFolder}`;
    this.#servers = servers;
  }

  static async start(options: BenchSystemOptions): Promise<BenchSystem> {
    const servers = await startServers(options);
    const { streamServer, windowServer, lakeServer } = servers;
    const flags = [
      ...(streamServer ? ["--stream", streamServer.url] : []),
      ...(options.stream === "kinesis" ? ["--create"] : []),
      ...(windowServer ? ["--window", windowServer.url] : []),
      ...(lakeServer ? ["--lake", lakeServer.url] : []),
    ];
    // The lake's credentials come last, because kinesalite accepts any.
    Object.assign(process.env, ...Object.values(servers).map(({ environment }) => environment));
    const environment = {
      TIDEGATE_LOG_LEVEL: "warn",
      ...(options.batchAgeMs !== null && { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: String(options.batchAgeMs) }),
      ...(options.stream === "kinesis" && { TIDEGATE_STREAM_PARTITION_COUNT: "6" }),
    };
    const first = await GatewayProcess.start({ flags, environment });
    const lakeFolder = join(first.dataFolder, "lake");
    const gateways = [first];
    const shared = [...flags, ...(lakeServer ? [] : ["--lake", `file:${lakeFolder}`])];
    while (gateways.length < options.gateways)
      gateways.push(await GatewayProcess.start({ flags: shared, environment }));
    return new BenchSystem(gateways, lakeFolder, servers);
  }

  get mqttUrls(): string {
    return this.gateways.map(({ mqttUrl }) => mqttUrl).join(",");
  }

  /** CPU seconds of all processes of a kind so far; of a server since its last start. */
  cpuSeconds(): ByPart {
    return this.#sums(cpuSeconds);
  }

  residentBytes(): ByPart {
    return this.#sums(residentBytes);
  }

  /**
   * Bytes in the stream that are not in the lake; 0 if the stream does not report them, -1 if a gateway did
   * not answer.
   */
  async lagBytes(): Promise<number> {
    let bytes = 0;
    for (const gateway of this.gateways) {
      const answer = await gateway.api("GET", "/v1/status").catch(() => null);
      const consumer = answer?.body["consumer"] as
        | { partitions: { lagBytes: number | null }[] }
        | null
        | undefined;
      if (!consumer) return -1;
      for (const partition of consumer.partitions) bytes += partition.lagBytes ?? 0;
    }
    return bytes;
  }

  /** Kills the server, and starts it again after this time on its old data. */
  async loseServer(part: Part, seconds: number): Promise<void> {
    const server = this.#servers[part];
    if (!server) throw new RangeError(`this system has no ${part}`);
    await server.kill();
    await delay(seconds * 1_000);
    await server.start();
  }

  async destroy(): Promise<void> {
    for (const gateway of [...this.gateways].reverse()) await gateway.destroy();
    for (const server of Object.values(this.#servers)) await server.destroy();
  }

  #sums(measure: (pid: number) => number): ByPart {
    const sum = (pids: readonly number[]) => pids.reduce((total, pid) => total + measure(pid), 0);
    // The upkeep starts later than the others.
    const pidsOf = (role: RoleName) => this.gateways.flatMap((gateway) => gateway.childPid(role) ?? []);
    const ofGateways = roleNames.map((role) => [role, sum(pidsOf(role))] as const);
    const ofServers = Object.entries(this.#servers).map(([part, server]) => [part, sum(server.pids())]);
    return Object.fromEntries([...ofGateways, ...ofServers]);
  }
}

async function startServers({ stream, lake }: BenchSystemOptions): Promise<Servers> {
  return {
    ...(stream === "redis" && { streamServer: await benchRedis(), windowServer: await benchRedis() }),
    ...(stream === "kinesis" && { streamServer: await benchKinesis() }),
    ...(lake === "s3" && { lakeServer: await benchS3() }),
  };
}
