import { join } from "node:path";
import { keepStreamMark, readStreamMarks, type StreamMark } from "../../bridge/streams/index.ts";
import type { RoleContext } from "../processes/run-child.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";

const intervalMs = 1_000;

function markFile({ folders }: GatewayConfig): string {
  return join(folders.data, "stream-mark.json");
}

/** The highest positions of the stream that this gateway's brokers have seen. */
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
