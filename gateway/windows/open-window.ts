import type { DedupWindow } from "../../bridge/lake/window/index.ts";
import type { StreamLog } from "../../bridge/streams/index.ts";
import type { RoleContext } from "../processes/run-child.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { streamKind } from "../streams/stream-kinds.ts";
import { windowKind } from "./window-kinds.ts";

/** Opens the dedupe window of a stream and a lake. */
export async function openWindow(
  context: RoleContext,
  { lakeId, stream }: { readonly lakeId: string; readonly stream: StreamLog },
): Promise<DedupWindow> {
  const target = context.config.backends.window;
  const isSharedWithStream = sharesServer(context.config);
  return await windowKind(target).open(context, { target, lakeId, stream, isSharedWithStream });
}

function sharesServer({ backends: { stream, window } }: GatewayConfig): boolean {
  const server = streamKind(stream).login?.serverOf(stream);
  return server !== undefined && server === windowKind(window).login?.serverOf(window);
}
