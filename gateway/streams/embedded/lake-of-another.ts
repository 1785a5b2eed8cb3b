import { existsSync } from "node:fs";
import { dirname, relative } from "node:path";
import { BridgeError } from "../../../bridge/errors.ts";
import { lakeUsers } from "../../../bridge/lake/index.ts";
import { checkStreamAgainstLake } from "../../../bridge/streams/embedded/index.ts";
import { shownUrl } from "../../../devices/protocol/shown-url.ts";
import { readProcessRecord } from "../../data-folder/process-record.ts";
import { GatewayError } from "../../errors.ts";
import type { GatewayLake } from "../../registry/gateway-stores.ts";
import { completeCommands } from "../../settings/command-flags.ts";
import type { GatewayConfig } from "../../settings/gateway-config.ts";

type Places = Pick<GatewayConfig, "folders" | "lakeUrl" | "flags">;

/**
 * Refuses a lake that belongs to the embedded stream of another data folder, before this gateway writes
 * there. Otherwise the broker would report that the stream of this data folder was lost. A lake inside the
 * data folder belongs to it, also after a restore. Throws LAKE_OF_ANOTHER.
 */
export async function refuseLakeOfAnother(config: Places, lake: Pick<GatewayLake, "state">): Promise<void> {
  const { folders } = config;
  if (existsSync(folders.stream) || isOwnFolder(folders)) return;
  try {
    await checkStreamAgainstLake(null, await lake.state());
  } catch (error) {
    if (error instanceof BridgeError && error.code === "STREAM_GAP") throw lakeOfAnother(config);
    throw error;
  }
}

function isOwnFolder({ data, lake }: Places["folders"]): boolean {
  return lake !== null && !relative(data, lake).startsWith("..");
}

function lakeOfAnother({ folders, lakeUrl, flags }: Places): GatewayError {
  const { data } = folders;
  const text = `The lake ${shownUrl(lakeUrl)} holds messages of the stream of another data folder, and ${data} has no stream. ${usedBy(folders.lake)}An embedded stream and its lake belong together: name the data folder of that gateway with --data, or give this one a lake of its own with --lake. Several gateways can file into one lake if they share a stream on Redis. If the other data folder is lost, \`tidegate stream new\` starts a new stream for this lake.`;
  return new GatewayError("LAKE_OF_ANOTHER", completeCommands(text, flags), { retryable: false });
}

/** Names the processes of this machine that have the lake open. */
function usedBy(lake: string | null): string {
  const users = lake === null ? [] : lakeUsers(lake);
  if (lake === null || users.length === 0) return "";
  const folder = dirname(lake);
  const record = readProcessRecord(folder);
  if (record && users.includes(record.supervisor.pid))
    return `It is in use by the gateway on ${folder} (process ${record.supervisor.pid}). `;
  return `It is in use: process ${users.join(", ")} has it open. `;
}
