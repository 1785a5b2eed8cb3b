import type { DedupWindow, StreamLog } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import { streamKind } from "../streams/stream-kinds.ts";
import type { RoleContext } from "../supervisor/run-child.ts";
import { windowKind } from "./window-kinds.ts";

/** The dedupe window that goes with a stream and a lake. */
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
