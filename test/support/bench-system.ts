import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type BenchServer, benchKinesis, benchRedis, benchS3 } from "./bench-servers.ts";
import { GatewayProcess } from "./gateway-process.ts";
import { cpuSeconds, residentBytes } from "./process-usage.ts";

/** Kinds of processes of a system that is measured. */
export type Part = "broker" | "consumer" | "streamServer" | "windowServer" | "lakeServer";
export type ByPart = Readonly<Partial<Record<Part, number>>>;

export interface BenchSystemOptions {
  /** `redis`: a server for the stream and one for the window. `kinesis`: six shards, the window in memory. */
  readonly stream: "embedded" | "redis" | "kinesis";
  readonly lake: "file" | "s3";
  /** Several only on Redis. */
  readonly gateways: number;
  /** Age of a batch; null = as a user has it who sets nothing. */
  readonly batchAgeMs: number | null;
}

type Servers = Readonly<Partial<Record<Part, BenchServer>>>;

/** Gateways on one lake, with the servers that they need, whose processes are measured. */
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
    // The lake's credentials come last: kinesalite takes any.
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

  /** CPU seconds used so far, of all processes of a kind together; of a server since it was started last. */
  cpuSeconds(): ByPart {
    return this.#sums(cpuSeconds);
  }

  residentBytes(): ByPart {
    return this.#sums(residentBytes);
  }

  /** Bytes in the stream that are not in the lake, 0 where it does not say; -1 where a gateway did not answer. */
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

  /** It is killed, stays away so long, and comes back on what it had. */
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
    const ofGateways = (["broker", "consumer"] as const).map(
      (role) => [role, sum(this.gateways.map((gateway) => gateway.childPid(role) as number))] as const,
    );
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
