import type { PartitionStatus, RecoveryStatus } from "../../bridge/lake/consumer/index.ts";
import type { GatewayStatus, WhatWaits } from "./gateway-status.ts";

/** Tables that do not show all commits. */
interface ParkedTables {
  readonly tables?: { readonly parked: readonly { readonly table: string; readonly code: string }[] };
}

type Processes = Pick<GatewayStatus, "roles" | "broker" | "consumer">;

/** Age at which an answer of the stream is out of date. */
const askedMaxMs = 5_000;

/** null if the consumer runs elsewhere, or does not answer. */
export function whatWaits({ roles, broker, consumer }: Processes): WhatWaits | null {
  if (!consumer) return null;
  const { partitions, recovery, state } = consumer;
  const openMessages = partitions.reduce((sum, partition) => sum + partition.openMessages, 0);
  const unreadBytes = unreadBytesOf(partitions);
  const reasons: string[] = [];
  if (recovery) reasons.push(recoveryText(recovery));
  else if (state !== "running") reasons.push(`the consumer is ${state} and does not file meanwhile`);
  if (openMessages > 0) reasons.push(`${openMessages} messages were read and wait for the next commit`);
  if (unreadBytes !== 0) reasons.push(unreadText(partitions, unreadBytes));
  reasons.push(...haltTexts(partitions), ...unknownText(partitions));
  if (roles.includes("broker") && !broker)
    reasons.push("the broker does not answer: its acknowledgements are not known");
  for (const { table, code } of (consumer as ParkedTables).tables?.parked ?? [])
    reasons.push(`table ${table} does not show all commits (${code})`);
  const given = (broker?.replacement ?? consumer.replacement)?.unread;
  if (given !== undefined && given?.messages !== 0)
    reasons.push("unread messages of the previous stream were discarded");
  return { openMessages, unreadBytes, reasons };
}

/** The step of a recovery, with its progress. */
export function recoveryText({ step, forMs, seeding }: RecoveryStatus): string {
  const seconds = Math.round(forMs / 1_000);
  if (step !== "seeding") return `the consumer has been recovering for ${seconds} s (${step})`;
  const files = seeding
    ? `${seeding.files} of ${seeding.filesTotal} files read, ${seeding.ids} ids found`
    : "looking for the files";
  return `the consumer has been filling the dedupe window from the lake for ${seconds} s: ${files}`;
}

function unreadBytesOf(partitions: readonly PartitionStatus[]): number | null {
  let bytes = 0;
  for (const { lagBytes, lagMs } of partitions) {
    if (lagBytes === null && lagMs > 0) return null;
    bytes += lagBytes ?? 0;
  }
  return bytes;
}

function unreadText(partitions: readonly PartitionStatus[], bytes: number | null): string {
  if (bytes !== null) return `${bytes} bytes of the stream are not read yet`;
  const lagMs = Math.max(...partitions.map((partition) => partition.lagMs));
  return `the consumer lags the end of the stream by ${Math.ceil(lagMs / 1_000)} s`;
}

function haltTexts(partitions: readonly PartitionStatus[]): string[] {
  return partitions.flatMap(({ partition, halt }) =>
    halt ? [`partition ${partition} is not read (${halt.code})`] : [],
  );
}

function unknownText(partitions: readonly PartitionStatus[]): string[] {
  const unknown = partitions.filter(({ askedForMs }) => askedForMs === null || askedForMs > askedMaxMs);
  if (unknown.length === 0) return [];
  return [`the stream has not reported recently what waits in ${unknown.length} of its partitions`];
}
