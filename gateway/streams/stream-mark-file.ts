import { join } from "node:path";
import { keepStreamMark, readStreamMarks, type StreamMark } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import type { RoleContext } from "../supervisor/run-child.ts";

const intervalMs = 1_000;

function markFile({ folders }: GatewayConfig): string {
  return join(folders.data, "stream-mark.json");
}

/** How far the stream was when this gateway's brokers last saw it. */
export function loadMarks(config: GatewayConfig): Promise<readonly StreamMark[]> {
  return readStreamMarks(markFile(config));
}

export function keepMark(
  { config, logger }: RoleContext,
  streamId: string,
  highest: () => Promise<readonly string[]>,
): { stop(): Promise<void> } {
  return keepStreamMark({ file: markFile(config), streamId, highest, intervalMs, logger });
}
