import type { Redis } from "ioredis";
import { redisError } from "./redis-error.ts";

/** What one server says of itself. */
export interface ServerReport {
  /** `host:port` */
  readonly node: string;
  readonly version: string;
  /** Another one after each start, and after each change of the history that it follows. */
  readonly incarnation: string;
  readonly usedBytes: number;
  /** 0 = no limit. */
  readonly maxMemoryBytes: number;
  /** True while it writes its append-only file anew. */
  readonly isRewriting: boolean;
  readonly isAppendOnly: boolean;
  /** Each a reason why it may lose what it confirms, what would be lost, and the mend. */
  readonly faults: readonly string[];
}

interface Rule {
  readonly setting: string;
  readonly wanted: string;
  readonly loses: string;
}

const rules: readonly Rule[] = [
  {
    setting: "appendonly",
    wanted: "yes",
    loses: "everything since its last snapshot is lost when it stops",
  },
  {
    setting: "appendfsync",
    wanted: "always",
    loses: "the last seconds of what it confirmed are lost when it or its machine dies",
  },
  {
    setting: "no-appendfsync-on-rewrite",
    wanted: "no",
    loses: "what it confirms while it writes its file anew is lost when its machine dies",
  },
  {
    setting: "maxmemory-policy",
    wanted: "noeviction",
    loses: "blocks are thrown away when its memory is full",
  },
];

/**
 * Asks a server for its settings, role and memory. Rights that this takes: `+info +config|get`.
 * @throws BridgeError REDIS_* where it does not answer.
 */
export async function readServerReport(server: Redis): Promise<ServerReport> {
  const node = `${server.options.host}:${server.options.port}`;
  const doing = `checking Redis at ${node}`;
  try {
    const [text, settings] = await Promise.all([
      server.info("server", "replication", "memory", "persistence"),
      readSettings(server, node),
    ]);
    const info = infoFields(text);
    const number = (name: string): number => Number(info.get(name) ?? 0);
    return {
      node,
      version: info.get("redis_version") ?? "unknown",
      incarnation: `${info.get("run_id")}/${info.get("master_replid")}`,
      // As the server compares with maxmemory.
      usedBytes: number("used_memory") - number("mem_not_counted_for_evict"),
      maxMemoryBytes: number("maxmemory"),
      isRewriting: number("aof_rewrite_in_progress") + number("aof_rewrite_scheduled") > 0,
      isAppendOnly: number("aof_enabled") === 1,
      faults: [...stateFaults(info, node), ...settings],
    };
  } catch (error) {
    throw redisError(error, doing);
  }
}

/** The fault of a server that is a replica, from the section `replication` of what INFO replies; null where it takes writes. */
export function replicaFault(info: ReadonlyMap<string, string>, node: string): string | null {
  if (info.get("role") === "master") return null;
  return `Redis at ${node} is a replica, which takes no writes: name its master in the URL; where that is gone for good, promote this one with REPLICAOF NO ONE`;
}

function stateFaults(info: ReadonlyMap<string, string>, node: string): string[] {
  const faults: string[] = [];
  const replica = replicaFault(info, node);
  if (replica) faults.push(replica);
  if (info.get("aof_last_write_status") === "err")
    faults.push(`Redis at ${node} could not write its append-only file: free space on its disk`);
  return faults;
}

async function readSettings(server: Redis, node: string): Promise<string[]> {
  let settings: ReadonlyMap<string, string>;
  try {
    settings = pairs(
      (await server.call("config", ["GET", ...rules.map(({ setting }) => setting)])) as string[],
    );
  } catch (error) {
    if (!(error instanceof Error && /^(NOPERM|ERR unknown command)/.test(error.message))) throw error;
    const user = server.options.username ?? "default";
    return [
      `Redis at ${node} does not show its settings (${error.message}), so nobody knows whether it keeps what it confirms: ACL SETUSER ${user} +config|get`,
    ];
  }
  return rules.flatMap(({ setting, wanted, loses }) => {
    const value = settings.get(setting);
    if (value === wanted) return [];
    return `Redis at ${node} has ${setting} ${value ?? "(unknown)"}: ${loses}. CONFIG SET ${setting} ${wanted}, and the same in its configuration file`;
  });
}

function pairs(texts: readonly string[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (let index = 0; index < texts.length; index += 2) map.set(texts[index] ?? "", texts[index + 1] ?? "");
  return map;
}

/** By name, what INFO replies. */
export function infoFields(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(/^(\w+):(.*?)\r?$/gm)].map((match) => [match[1] ?? "", match[2] ?? ""]));
}
