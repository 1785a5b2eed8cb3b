import type { Redis } from "ioredis";
import { redisError } from "./redis-error.ts";

/** State and settings of one server. */
export interface ServerReport {
  /** `host:port` */
  readonly node: string;
  readonly version: string;
  /** Changes with each start of the server, and with each change of its replication history. */
  readonly incarnation: string;
  readonly usedBytes: number;
  /** 0 = no limit. */
  readonly maxMemoryBytes: number;
  /** True while the server rewrites its append-only file. */
  readonly isRewriting: boolean;
  readonly isAppendOnly: boolean;
  /**
   * For people. Each names a reason why the server may lose confirmed data, what would be lost, and what to
   * do.
   */
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
    loses: "if it stops, all data since its last snapshot is lost",
  },
  {
    setting: "appendfsync",
    wanted: "always",
    loses: "if it or its machine dies, the last seconds of confirmed data are lost",
  },
  {
    setting: "no-appendfsync-on-rewrite",
    wanted: "no",
    loses: "if its machine dies during a rewrite of the file, data confirmed meanwhile is lost",
  },
  {
    setting: "maxmemory-policy",
    wanted: "noeviction",
    loses: "if its memory is full, it deletes blocks",
  },
];

/**
 * Reads a server's settings, role and memory. The user needs the rights `+info +config|get`.
 * @throws BridgeError REDIS_* if the server does not answer.
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
      // The server compares this difference with maxmemory.
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

/** Why a server does not accept writes, by the section `replication` of INFO; null if it does. */
export function replicaFault(info: ReadonlyMap<string, string>, node: string): string | null {
  if (info.get("role") === "master") return null;
  return `Redis at ${node} is a replica and accepts no writes: name its master in the URL. If the master is gone for good, promote this one with REPLICAOF NO ONE`;
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
      `Redis at ${node} does not show its settings (${error.message}), so Tidegate can't tell whether it keeps confirmed data: ACL SETUSER ${user} +config|get`,
    ];
  }
  return rules.flatMap(({ setting, wanted, loses }) => {
    const value = settings.get(setting);
    if (value === wanted) return [];
    return `Redis at ${node} has ${setting} ${value ?? "(unknown)"}: ${loses}. Send CONFIG SET ${setting} ${wanted}, and write the same into its configuration file`;
  });
}

function pairs(texts: readonly string[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (let index = 0; index < texts.length; index += 2) map.set(texts[index] ?? "", texts[index + 1] ?? "");
  return map;
}

/** The fields of an INFO reply, by name. */
export function infoFields(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(/^(\w+):(.*?)\r?$/gm)].map((match) => [match[1] ?? "", match[2] ?? ""]));
}
