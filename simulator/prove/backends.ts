import { resolve } from "node:path";
import { folderOfUrl } from "../audit/open-lake.ts";
import type { ServerKind, ServerKinds, ServerTarget } from "./strike.ts";
import type { StruckSystem } from "./strikes/strike-plan.ts";

/** URLs as they were given; undefined = the default. */
export interface BackendUrls {
  readonly stream?: string;
  readonly window?: string;
  readonly lake?: string;
}

const backends = ["stream", "window", "lake"] as const;

/** URLs for which the proof starts a server; all other URLs are passed on. */
const ownServers: Readonly<Record<(typeof backends)[number], Readonly<Record<string, ServerKind>>>> = {
  stream: { "redis:": "redis", "kinesis:": "kinesalite" },
  window: { "redis:": "redis" },
  lake: { "s3:": "radosgw" },
};

interface SharedStream {
  /** Where topics, identities and leases are, of the gateways that share the stream. */
  readonly registry: StruckSystem["registry"];
  /** True if the dedupe window is kept there too, unless another one is named. */
  readonly holdsWindow: boolean;
}

/** By the beginning of the URL. Any other stream has one owner. */
const sharedStreams: Readonly<Record<string, SharedStream>> = {
  redis: { registry: "stream-server", holdsWindow: true },
  kinesis: { registry: "window-server", holdsWindow: false },
};

/** The servers and gateways of a proof for these URLs. */
export interface Backends {
  readonly servers: ServerKinds;
  /** URLs of servers that are not the proof's own. */
  readonly urls: BackendUrls;
  /** The lake's, if it is not in a server of the proof's own. A folder in it is absolute. */
  readonly lakeUrl: string | undefined;
  readonly hasWindowInMemory: boolean;
  readonly struck: StruckSystem;
}

export function backendsOf(given: BackendUrls): Backends {
  const servers: Partial<Record<ServerTarget, ServerKind>> = {};
  const urls: { stream?: string; window?: string; lake?: string } = {};
  for (const name of backends) {
    const url = given[name];
    if (url === undefined) continue;
    const kind = ownServers[name][url];
    if (kind) servers[`${name}-server`] = kind;
    else urls[name] = url;
  }
  const [, stream] = Object.entries(sharedStreams).find(([name]) => given.stream?.startsWith(name)) ?? [];
  const hasWindowInMemory = isInMemory(given.window) && !(given.window === undefined && stream?.holdsWindow);
  return {
    servers,
    urls,
    lakeUrl: absolute(urls.lake),
    hasWindowInMemory,
    struck: struckOf(given, servers, stream),
  };
}

function struckOf(
  { window, lake }: BackendUrls,
  servers: ServerKinds,
  stream: SharedStream | undefined,
): StruckSystem {
  const registry = stream?.registry ?? "stream-server";
  const isShared = stream !== undefined && (registry === "stream-server" || !isInMemory(window));
  // A copy of a gateway that shares nothing needs a lake of its own next to it.
  const isCopied = isShared || lake === undefined || lake.startsWith("file:");
  return { servers, gateways: isShared ? 2 : 1, registry, isCopied };
}

function isInMemory(window: string | undefined): boolean {
  return window === undefined || window === "memory:";
}

function absolute(lake: string | undefined): string | undefined {
  const folder = lake === undefined ? undefined : folderOfUrl(lake);
  return folder === undefined ? lake : `file:${resolve(folder)}`;
}
