import type { KindTarget } from "../../bridge/config.ts";
import { shownUrl } from "../../devices/protocol/shown-url.ts";
import { lakeUrlOf, readLakeUrl } from "../config/service-urls.ts";
import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { CommandOutput } from "./command-output.ts";
import { ProgressBar } from "./progress-bar.ts";

/** `tidegate migrate --lake-to URL`. */
export async function migrateLake(config: GatewayConfig, url: string, output: CommandOutput): Promise<void> {
  const to = targetOf(url);
  const { moveGatewayLake } = await import("../migrate/move-gateway-lake.ts");
  const { createProcessLogger } = await import("../processes/process-logger.ts");
  const logger = createProcessLogger("migrate", { ...config, log: { ...config.log, level: "warn" } });
  const bar = new ProgressBar("{bar} {text}");
  const moved = await moveGatewayLake({
    config,
    to,
    logger,
    onProgress: ({ bytes, totalBytes, objects, totalObjects }) =>
      bar.show(bytes, totalBytes, {
        text: `${objects} of ${totalObjects} objects, ${mebibytes(totalBytes)}`,
      }),
  }).finally(() => bar.stop());
  const { objects, bytes } = moved;
  output.result(
    { ...moved, lake: lakeUrlOf(to) },
    `Copied and compared ${objects} objects, ${mebibytes(bytes)}. ${config.lakeUrl} is closed and no longer needed.\nContinue with: --lake ${lakeUrlOf(to)} for every gateway (and the same --data, --stream and --window).`,
  );
}

function targetOf(url: string): KindTarget {
  const reading = readLakeUrl(url);
  if ("target" in reading) return reading.target;
  throw new GatewayError(
    "USAGE_INVALID",
    `--lake-to ${shownUrl(url)}: give ${reading.expected}; ${reading.mend}.`,
    {
      retryable: false,
    },
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
