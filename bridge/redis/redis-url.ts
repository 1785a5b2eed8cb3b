import { BridgeError } from "../errors.ts";

/** The address of a Redis, and the prefix of our keys. */
export interface RedisTarget {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: boolean;
  /** PEM file of the certificate authority of the server; undefined = the authorities that Node trusts. */
  readonly caFile: string | undefined;
  /** True if host and port are one node of a Redis Cluster; the client finds the others. */
  readonly isCluster: boolean;
  /** All our keys begin with the prefix and a colon. */
  readonly prefix: string;
}

const defaultPort = 6379;
const defaultPrefix = "tidegate";
const parameters = ["prefix", "cluster", "ca"];

/**
 * Parses `redis[s]://[USER:PASSWORD@]HOST[:PORT][/DB][?prefix=TEXT][&cluster=true][&ca=FILE]`; `rediss:` is
 * Redis over TLS.
 * @throws BridgeError REDIS_URL_INVALID. Its text never holds the password.
 */
export function parseRedisUrl(text: string): RedisTarget {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || (url.protocol !== "redis:" && url.protocol !== "rediss:") || url.hostname === "")
    throw invalid("it is no Redis URL");
  const unknown = [...url.searchParams.keys()].find((name) => !parameters.includes(name));
  if (unknown !== undefined) throw invalid(`there is no parameter ${unknown} (${parameters.join(", ")})`);
  const isCluster = isClusterOf(url);
  const db = databaseOf(url);
  if (isCluster && db !== 0) throw invalid("a Redis Cluster has only the database 0");
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? defaultPort : Number(url.port),
    db,
    username: url.username === "" ? undefined : decodeURIComponent(url.username),
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
    tls: url.protocol === "rediss:",
    caFile: url.searchParams.get("ca") ?? undefined,
    isCluster,
    prefix: prefixOf(url),
  };
}

function isClusterOf(url: URL): boolean {
  const text = url.searchParams.get("cluster") ?? "false";
  if (text !== "true" && text !== "false") throw invalid("cluster must be true or false");
  return text === "true";
}

function databaseOf(url: URL): number {
  const text = url.pathname.replace(/^\//, "");
  if (text === "") return 0;
  if (!/^\d{1,5}$/.test(text)) throw invalid(`${text} is not the number of a database`);
  return Number(text);
}

/** Braces are not allowed: they would be a hash tag on Redis Cluster. */
function prefixOf(url: URL): string {
  const prefix = url.searchParams.get("prefix") ?? defaultPrefix;
  if (!/^[A-Za-z0-9_.:-]{1,64}$/.test(prefix))
    throw invalid("the prefix must be 1 to 64 letters, digits, or any of _ . : -");
  return prefix;
}

function invalid(reason: string): BridgeError {
  const text = `The Redis URL can't be used: ${reason}. Write redis://HOST:PORT/DB, for example redis://127.0.0.1:6379/0, with ?prefix=NAME for keys of your own.`;
  return new BridgeError("REDIS_URL_INVALID", text, { retryable: false });
}
