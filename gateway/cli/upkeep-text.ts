import type { GatewayStatus } from "../status/gateway-status.ts";

/**
 * What the upkeep of the lake does, and what fails. A gateway that was not restarted since an upgrade does
 * not send it.
 */
export function upkeepText({ upkeep, roles }: Pick<GatewayStatus, "upkeep" | "roles">): string[] {
  if (upkeep === undefined) return [];
  if (!roles.includes("upkeep"))
    return ["The upkeep of the lake runs in another gateway (settings roles, upkeep.enabled)."];
  if (!upkeep) return ["The upkeep of the lake does not answer."];
  const { failure, lease, leftAlone } = upkeep;
  const lines = [`Upkeep of the lake: ${[stateText(upkeep), ...lastText(upkeep)].join("; ")}.`];
  if (failure)
    lines.push(
      `  ! The ${failure.work} has failed ${failure.attempts} times since ${timeText(failure.sinceMs)}: ${failure.code}: ${failure.message} Tidegate retries by itself.`,
    );
  // A gateway that was not restarted since an upgrade does not send it.
  for (const { table, reason, wayOut, sinceMs } of leftAlone ?? [])
    lines.push(
      `  ! Retention removes no rows of table ${table} since ${timeText(sinceMs)}: ${reason}. Other tables are not affected. Way out: ${wayOut}`,
    );
  if (lease?.failure) lines.push(`  ! The lease of the upkeep can't be renewed: ${lease.failure.message}`);
  return lines;
}

type Upkeep = NonNullable<GatewayStatus["upkeep"]>;

function stateText({ state, doing, next, lease }: Upkeep): string {
  if (doing) return `${doing.work} since ${timeText(doing.sinceMs)}`;
  if (state === "standing-by") return `done by ${lease?.owner ?? "another gateway"}`;
  return next ? `next ${next.work} at ${timeText(next.atMs)}` : state;
}

function lastText({ last }: Upkeep): string[] {
  return last ? [`last ${last.work} ended at ${timeText(last.endedAtMs)}`] : [];
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString();
}
