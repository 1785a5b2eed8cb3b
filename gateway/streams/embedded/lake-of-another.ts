import { existsSync } from "node:fs";
import { dirname, relative } from "node:path";
import { BridgeError, lakeUsers } from "../../../bridge/index.ts";
import { checkStreamAgainstLake } from "../../../bridge/streams/embedded/index.ts";
import { GatewayError } from "../../errors.ts";
import type { GatewayConfig } from "../../gateway-config.ts";
import { completeCommands } from "../../settings/command-flags.ts";
import { shownUrl } from "../../settings/secrets.ts";
import type { GatewayLake } from "../../supervisor/gateway-stores.ts";
import { readProcessRecord } from "../../supervisor/process-record.ts";

type Places = Pick<GatewayConfig, "folders" | "lakeUrl" | "flags">;

/**
 * Refuses to begin on a lake that another data folder's embedded stream fills, before anything of this gateway is written there. To the
 * broker it looks as if the stream of this data folder was lost. A lake in the data folder itself is its own, whatever was restored.
 * Throws LAKE_OF_ANOTHER.
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
  const text = `The lake ${shownUrl(lakeUrl)} holds what the stream of another data folder has brought, and ${data} has no stream. ${usedBy(folders.lake)}An embedded stream and its lake belong together: name the data folder of that gateway with --data, or give this one a lake of its own with --lake. Several gateways can file into one lake if they share a stream on Redis. If the other data folder is lost for good, \`tidegate stream new\` begins a new stream beside what is filed.`;
  return new GatewayError("LAKE_OF_ANOTHER", completeCommands(text, flags), { retryable: false });
}

/** Who has the lake open on this machine. */
function usedBy(lake: string | null): string {
  const users = lake === null ? [] : lakeUsers(lake);
  if (lake === null || users.length === 0) return "";
  const folder = dirname(lake);
  const record = readProcessRecord(folder);
  if (record && users.includes(record.supervisor.pid))
    return `It is in use by the gateway on ${folder} (process ${record.supervisor.pid}). `;
  return `It is in use: process ${users.join(", ")} has it open. `;
}
