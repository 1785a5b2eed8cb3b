import { join } from "node:path";
import { SimulatorError } from "../../errors.ts";
import { seededRandom } from "../seeded-random.ts";
import type { ServerUnderTest } from "../server-under-test.ts";
import type { ServerKind, ServerKinds, ServerTarget } from "../strike.ts";
import { RedisUnderTest } from "./redis-under-test.ts";

export interface OwnServersOptions {
  readonly servers: ServerKinds;
  readonly folder: string;
  /** Decides which calls to servers are struck. */
  readonly seed: number;
  /** Servers that may lose what they acknowledged. */
  readonly isRelaxed: boolean;
}

/** `folder` is the server's own. */
type StartServer = (options: OwnServersOptions) => Promise<ServerUnderTest>;

/**
 * The code that starts a server of each kind is loaded if a proof needs it. The installed package holds the
 * first kind only.
 */
const loaders: Readonly<Record<ServerKind, () => Promise<StartServer>>> = {
  redis: async () => {
    return ({ folder, isRelaxed }) =>
      RedisUnderTest.start({ folder, appendfsync: isRelaxed ? "everysec" : "always" });
  },
  radosgw: async () => {
    const { S3UnderTest } = await import("../servers/s3-under-test.ts");
    return ({ folder, seed }) => S3UnderTest.start(folder, seededRandom(seed));
  },
  kinesalite: async () => {
    const { KinesisUnderTest } = await import("../servers/kinesis-under-test.ts");
    return ({ folder, isRelaxed, seed }) =>
      KinesisUnderTest.start({ folder, losesEntries: isRelaxed, random: seededRandom(seed) });
  },
};

/** Throws PROVE_NEEDS_CHECKOUT. */
export async function loadServers(servers: ServerKinds): Promise<[ServerTarget, StartServer][]> {
  const kinds = Object.entries(servers) as [ServerTarget, ServerKind][];
  return await Promise.all(
    kinds.map(async ([target, kind]): Promise<[ServerTarget, StartServer]> => {
      try {
        return [target, await loaders[kind]()];
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw cause;
        throw needsCheckout(target, cause);
      }
    }),
  );
}

function needsCheckout(target: ServerTarget, cause: unknown): SimulatorError {
  const flag = `--${target.replace("-server", "")}`;
  return new SimulatorError(
    "PROVE_NEEDS_CHECKOUT",
    `${flag}: the installed package can't start this server. Run the proof from a checkout of Tidegate, or name a running server with ${flag}.`,
    { retryable: false, cause },
  );
}

/** Throws PROVE_SERVER_FAILED. */
export async function startServers(
  options: OwnServersOptions,
): Promise<ReadonlyMap<ServerTarget, ServerUnderTest>> {
  const servers = new Map<ServerTarget, ServerUnderTest>();
  try {
    for (const [target, start] of await loadServers(options.servers))
      servers.set(target, await start({ ...options, folder: join(options.folder, target) }));
    return servers;
  } catch (error) {
    for (const server of servers.values()) await server.close();
    throw error;
  }
}

export function environmentOf(
  servers: ReadonlyMap<ServerTarget, ServerUnderTest>,
): Readonly<Record<string, string>> {
  return Object.assign({}, ...[...servers.values()].map(({ environment }) => environment));
}
