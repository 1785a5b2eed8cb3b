import type { StreamReplacement } from "../../bridge/streams/index.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { StreamEndStatus } from "./stream-backend.ts";
import type { StreamKind } from "./stream-kind.ts";
import { streamKind, streamKinds } from "./stream-kinds.ts";

/**
 * A stream as one process sees it. Each kind of stream adds a member; `ownStatus` finds the one that is not
 * null.
 */
export interface StreamStatus {
  /** Set if `tidegate stream new` has put this stream in the place of another one. */
  readonly replacement: StreamReplacement | null;
}

/** Adds a member for each kind, which is null except for the used kind. */
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

/** The stream's own status; null = it has none, or the process does not answer. */
export function ownStatus(process: StreamStatus | null): OwnStatus | null {
  if (!process) return null;
  const members = process as unknown as Readonly<Record<string, unknown>>;
  const kind = streamKinds.find(({ status }) => (members[status.name] ?? null) !== null);
  return kind ? { kind, status: members[kind.status.name] } : null;
}
