import { join } from "node:path";
import type { TopicDefinition } from "../topics/topic-api.ts";
import { ForeignCompaction } from "./foreign/foreign-compaction.ts";
import { ForeignWriter } from "./foreign/foreign-writer.ts";
import { TableStrikes } from "./foreign/table-strikes.ts";
import { UnfitTable } from "./foreign/unfit-table.ts";
import { freePort } from "./free-port.ts";
import { HostileBook } from "./hostile/hostile-book.ts";
import { HostileClients } from "./hostile/hostile-clients.ts";
import { type LakeAccess, openLakeAccess } from "./lake-access.ts";
import type { ServerUnderTest } from "./server-under-test.ts";
import {
  isServerTarget,
  type PartTarget,
  type ServerKinds,
  type ServerTarget,
  type Strikable,
} from "./strike.ts";
import { Backlog } from "./strikes/backlog.ts";
import { DataFolderCopy } from "./strikes/data-folder-copy.ts";
import { TopicAdmin } from "./strikes/topic-admin.ts";
import { GatewayClock, type WrongTime } from "./under-test/gateway-clock.ts";
import { GatewayUnderTest, type StatusView } from "./under-test/gateway-under-test.ts";
import { nextCommit } from "./under-test/next-commit.ts";
import { environmentOf, startServers } from "./under-test/own-servers.ts";

/** The system that a proof runs, without the fleet. */
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
  /** Settings of the gateways, as variables of the environment. */
  readonly settings: Readonly<Record<string, string>>;
  /** Topics that an admin creates, changes and deletes. */
  readonly specificTopics: readonly TopicDefinition[];
  /** Tables that another program writes to. */
  readonly tables: readonly string[];
  /** Of these: those that get rows all the time. */
  readonly busyTables: readonly string[];
  readonly backlogMs: number;
}

/**
 * Real gateways and the servers that they use, in processes of their own, and their other parts that can be
 * struck.
 */
export class SystemUnderTest {
  readonly gateways: readonly GatewayUnderTest[];
  readonly mqttUrls: readonly string[];
  readonly lakeUrl: string;
  readonly lake: LakeAccess;
  /** Of the hostile clients. */
  readonly hostileBook = new HostileBook();
  readonly #servers: ReadonlyMap<ServerTarget, ServerUnderTest>;
  readonly #clients: HostileClients;
  readonly #parts: Parts;

  private constructor(options: SystemOptions, gateways: readonly GatewayUnderTest[], backends: Backends) {
    this.gateways = gateways;
    this.mqttUrls = gateways.map(({ mqttUrl }) => mqttUrl);
    this.lakeUrl = backends.lakeUrl;
    this.lake = accessTo(backends);
    this.#servers = backends.servers;
    this.#clients = new HostileClients({ gateways, book: this.hostileBook });
    this.#parts = { ...partsOf(options, { gateways, lake: this.lake, backends }), clients: this.#clients };
  }

  /** Starts the servers, not yet the gateways. Throws PROVE_SERVER_FAILED. */
  static async create(options: SystemOptions): Promise<SystemUnderTest> {
    const servers = await startServers(options);
    const lakeUrl =
      servers.get("lake-server")?.url ?? options.lakeUrl ?? `file:${join(options.folder, "lake")}`;
    const backends = { servers, lakeUrl };
    const gateways: GatewayUnderTest[] = [];
    for (let index = 0; index < options.gateways; index++) {
      const name = index === 0 ? "gateway" : `gateway-${index + 1}`;
      const data = join(options.folder, index === 0 ? "data" : `data-${index + 1}`);
      gateways.push(await gatewayOn(options, backends, { data, name, lakeUrl }));
    }
    return new SystemUnderTest(options, gateways, backends);
  }

  /** Starts the gateways, one after another: the first makes lake and stream. */
  async start(): Promise<void> {
    for (const gateway of this.gateways) await gateway.start();
  }

  async ready(): Promise<void> {
    for (const gateway of this.gateways) await gateway.ready();
  }

  /** The target of a strike if it is no process. */
  part(target: PartTarget | ServerTarget, gateway: number): Strikable {
    if (target === "clock") return (this.gateways[gateway] as GatewayUnderTest).clock;
    if (!isServerTarget(target)) return this.#parts[target];
    const server = this.#servers.get(target);
    if (!server) throw new TypeError(`this proof has no ${target}`);
    return server;
  }

  /** Sets all clocks right. Resolves with when some clock was not, since the start. */
  async setClocksRight(): Promise<WrongTime[]> {
    for (const { clock } of this.gateways) await clock.set(0);
    return this.gateways.flatMap(({ clock }) => clock.wrong);
  }

  /** Of processes that use the servers. */
  get environment(): Readonly<Record<string, string>> {
    return environmentOf(this.#servers);
  }

  /**
   * Resolves as soon as the next entry of the lake's commit log exists, or after `timeoutMs`. Resolves at
   * once if the lake is on a server that is not the proof's own.
   */
  async nextCommit(timeoutMs: number): Promise<void> {
    const server = this.#servers.get("lake-server");
    if (server) await server.nextCommit?.(timeoutMs);
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
    this.#clients.close();
    for (const gateway of this.gateways) gateway.kill();
    this.lake.close();
    for (const server of this.#servers.values()) await server.close();
  }
}

type Parts = Readonly<Record<Exclude<PartTarget, "clock">, Strikable>>;

function partsOf(
  options: SystemOptions,
  {
    gateways,
    lake,
    backends,
  }: { gateways: readonly GatewayUnderTest[]; lake: LakeAccess; backends: Backends },
): Omit<Parts, "clients"> {
  const { specificTopics, tables, busyTables, folder, backlogMs } = options;
  const lakeFolder = copiedLakeFolder(options, backends);
  let copies = 0;
  return {
    consumers: new Backlog(gateways, backlogMs),
    tables: new TableStrikes({
      writer: new ForeignWriter({ lake, tables }),
      unfit: new UnfitTable({ lake, tables: busyTables, gateways }),
      compaction: new ForeignCompaction({ lake, tables }),
    }),
    topics: new TopicAdmin({ gateways, specific: specificTopics }),
    "data-folder": new DataFolderCopy({
      gateways,
      folder,
      lakeFolder,
      gatewayOn: (data, copiedLake) =>
        gatewayOn(options, backends, {
          data,
          name: `copy-${++copies}`,
          lakeUrl: copiedLake === null ? backends.lakeUrl : `file:${copiedLake}`,
        }),
    }),
  };
}

/**
 * Gateways on Redis share the lake, and so does a copy. Any other stream has one owner, so the copy gets a
 * lake of its own.
 */
function copiedLakeFolder({ gateways }: SystemOptions, { lakeUrl }: Backends): string | null {
  return gateways === 1 && lakeUrl.startsWith("file:") ? lakeUrl.slice("file:".length) : null;
}

function accessTo({ servers, lakeUrl }: Backends): LakeAccess {
  return servers.get("lake-server")?.access?.() ?? openLakeAccess(lakeUrl);
}

interface Backends {
  readonly servers: ReadonlyMap<ServerTarget, ServerUnderTest>;
  readonly lakeUrl: string;
}

/**
 * A batch a few times a second, so that strikes meet commits and publishes, not only the time between them.
 */
const batchAgeMs = 250;
/** Short, so that pauses outlast it and partitions move. */
const leaseMs = 3_000;

async function gatewayOn(
  { program, folder, gateways, isRelaxed, flags, settings }: SystemOptions,
  { servers }: Backends,
  { data, name, lakeUrl }: { data: string; name: string; lakeUrl: string },
): Promise<GatewayUnderTest> {
  const urls = [...servers].flatMap(([target, server]) =>
    target === "lake-server" ? [] : [`--${target.replace("-server", "")}`, server.url],
  );
  return new GatewayUnderTest({
    program,
    folder: data,
    mqttPort: await freePort(),
    httpPort: await freePort(),
    logFile: join(folder, `${name}.log`),
    flags: [...urls, ...flags, "--lake", lakeUrl],
    environment: {
      ...environmentOf(servers),
      TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: String(batchAgeMs),
      ...(gateways > 1 ? { TIDEGATE_LEASES_LEASE_MS: String(leaseMs) } : {}),
      ...(isRelaxed ? { TIDEGATE_REDIS_DURABILITY: "relaxed" } : {}),
      ...settings,
    },
    clock: new GatewayClock(join(folder, `${name}.clock`)),
  });
}
