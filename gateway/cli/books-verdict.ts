import type { GatewayStatus } from "../status/gateway-status.ts";

/** The verdict on the books (G8): they balance only if every acknowledged message is in the tables. */
export function booksVerdict({
  books,
  waiting,
  consumer,
}: Pick<GatewayStatus, "books" | "waiting" | "consumer">): string[] {
  if (!books?.isBalanced) return ["THE BOOKS DO NOT BALANCE.", ...waitingText(waiting)];
  if (waiting === null) return ["The gateway does not report the backlog; no committed message is missing."];
  if (waiting.reasons.length > 0)
    return [
      "Some acknowledged messages are not in the tables yet; no committed message is missing.",
      ...waitingText(waiting),
    ];
  const others = (consumer?.leases.partitions ?? []).filter(
    ({ partition }) => !consumer?.partitions.some((own) => own.partition === partition),
  ).length;
  const whose = others > 0 ? " of the partitions that this gateway reads" : "";
  return [
    `The books${whose} balance: every acknowledged message was read, and every message read is filed, a duplicate or quarantined.`,
  ];
}

function waitingText(waiting: GatewayStatus["waiting"]): string[] {
  return (waiting?.reasons ?? []).map((reason) => `  - ${reason}`);
}

/**
 * Messages that no table will ever hold, without a promise that they would be lost; [] = none since the
 * broker started.
 */
export function droppedText({ broker }: Pick<GatewayStatus, "broker">): string[] {
  if (!broker) return [];
  const { producer, untaken, sessionDropped, retainedDropped } = broker;
  const { droppedQos0, failedMessages } = producer.totals;
  const parts = [
    [droppedQos0, "of QoS 0, because the stream was full"],
    [failedMessages, "given up unacknowledged"],
    [untaken, "of connections that had ended"],
    [sessionDropped, "for sessions whose queues were full"],
    [retainedDropped, "not retained"],
  ] as const;
  const told = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return told.length > 0 ? [`Dropped: ${told.join(", ")}`] : [];
}
