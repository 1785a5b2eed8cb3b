import type { KindDescriptor, KindTarget } from "../../bridge/config.ts";
import type { DedupWindow, StreamLog } from "../../bridge/index.ts";
import type { RoleContext } from "../supervisor/run-child.ts";

export interface WindowOptions<Target extends KindTarget = KindTarget> {
  readonly target: Target;
  readonly lakeId: string;
  readonly stream: StreamLog;
  /** True if the stream is on the same server. */
  readonly isSharedWithStream: boolean;
}

/** A kind of dedupe window: what the gateway has to know of it. */
export interface WindowKind<Target extends KindTarget = KindTarget> extends KindDescriptor<Target> {
  /** Where it is, without passwords: two that are equal are one window. null = in the memory of the gateway. */
  placeOf(target: Target): string | null;
  /** See `StreamKind.proofServer`. */
  readonly proofServer?: string;
  open(context: RoleContext, options: WindowOptions<Target>): Promise<DedupWindow>;
}
