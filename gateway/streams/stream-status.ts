import type { StreamReplacement } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import type { StreamEndStatus } from "./stream-backend.ts";
import type { StreamKind } from "./stream-kind.ts";
import { streamKind, streamKinds } from "./stream-kinds.ts";

/** A stream as one process sees it. Beside this there is a member of each kind of stream: `ownStatus` knows which one holds something. */
export interface StreamStatus {
  /** Where `tidegate stream new` put it in place of another: for as long as this stream is used. */
  readonly replacement: StreamReplacement | null;
}

/** With a member of each kind, null but for the kind that is used. */
export function streamStatus(
  { backends }: Pick<GatewayConfig, "backends">,
  { own, replacement }: StreamEndStatus,
): StreamStatus {
  const used = streamKind(backends.stream);
  const members = streamKinds.map((kind) => [kind.status.name, kind === used ? own : null]);
  return { ...Object.fromEntries(members), replacement };
}

export interface OwnStatus {
  readonly kind: StreamKind;
  readonly status: unknown;
}

/** What the stream says of itself; null = nothing, or the process does not answer. */
export function ownStatus(process: StreamStatus | null): OwnStatus | null {
  if (!process) return null;
  const members = process as unknown as Readonly<Record<string, unknown>>;
  const kind = streamKinds.find(({ status }) => (members[status.name] ?? null) !== null);
  return kind ? { kind, status: members[kind.status.name] } : null;
}
