import type { GatewayStatus } from "../status/gateway-status.ts";

/** Tables that do not show all commits, each with the remedy, and tables whose logs grow. */
export function tablesText({ tables }: NonNullable<GatewayStatus["consumer"]>): string[] {
  const parked = tables.parked.map(
    ({ table, reason, sinceMs, heldCommits, wayOut }) =>
      `  ! Table ${table} is parked since ${timeText(sinceMs)}: ${reason}. Its rows wait in the commit log (${heldCommits} entries are kept); other tables are up to date. Way out: ${wayOut}`,
  );
  const unkempt = tables.unkempt.map(
    ({ table, reason, sinceMs }) =>
      `  ! Table ${table} has had no checkpoint since ${timeText(sinceMs)}, so reading it takes longer: ${reason}. Tidegate retries by itself.`,
  );
  return [...parked, ...unkempt];
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString();
}
