import type { KindDescriptor, KindTarget } from "../../bridge/config.ts";
import type { DedupWindow } from "../../bridge/lake/window/index.ts";
import type { StreamLog } from "../../bridge/streams/index.ts";
import type { RoleContext } from "../processes/run-child.ts";

export interface WindowOptions<Target extends KindTarget = KindTarget> {
  readonly target: Target;
  readonly lakeId: string;
  readonly stream: StreamLog;
  /** True if the stream is on the same server. */
  readonly isSharedWithStream: boolean;
}

/** A kind of dedupe window, as the gateway knows it. */
export interface WindowKind<Target extends KindTarget = KindTarget> extends KindDescriptor<Target> {
  /**
   * Place of the window, without passwords: windows with equal places are the same. null = in the gateway's
   * memory.
   */
  placeOf(target: Target): string | null;
  open(context: RoleContext, options: WindowOptions<Target>): Promise<DedupWindow>;
}
