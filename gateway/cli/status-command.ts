import type { Command } from "commander";
import { type GatewayStatus, unfoundedAcknowledgements } from "../status/gateway-status.ts";
import { ownStatus } from "../streams/stream-status.ts";
import { booksVerdict, droppedText } from "./books-verdict.ts";
import { apiOf, type CommandEnvironment, runAction } from "./command-context.ts";
import { addDataOptions, type ConfigFlags } from "./config-options.ts";
import { givenUpText } from "./given-up-text.ts";
import { outsideTimesText } from "./outside-times-text.ts";
import { tablesText } from "./tables-text.ts";
import { textTable } from "./text-table.ts";
import { withUnsaid } from "./unsaid-status.ts";
import { upkeepText } from "./upkeep-text.ts";

export function addStatusCommand(program: Command, environment: CommandEnvironment): void {
  const status = addDataOptions(
    program.command("status").description("show processes, lag, and the books of every partition"),
  );
  runAction<ConfigFlags & { json?: boolean }>(status, environment, async ({ output, flags }) => {
    const answer = await apiOf(flags, environment).send<GatewayStatus>({ method: "GET", path: "/v1/status" });
    output.result(answer, statusText(withUnsaid(answer)));
    return undefined;
  });
}

function statusText(status: GatewayStatus): string {
  const lines = [
    `Tidegate ${status.version}, ${readyText(status)}, since ${status.startedAt}`,
    ...status.reasons.map((reason) => `  ! ${reason}`),
    ...status.progress.map((text) => `  - ${text}`),
    ...status.degraded.map((reason) => `  ! ${reason}`),
    "",
    textTable(
      ["process", "state", "pid", "restarts", "of these hung", "listening"],
      status.processes.map(({ role, state, pid, restarts, hangs, listening }) => [
        role,
        state,
        pid,
        restarts,
        hangs,
        listening,
      ]),
    ),
    ...brokerText(status),
    ...streamText(status),
    ...replacementText(status),
    ...upkeepText(status),
    "",
    ...booksText(status),
  ];
  return lines.join("\n");
}

function readyText({ isReady, degraded }: GatewayStatus): string {
  if (!isReady) return "NOT ready";
  return degraded.length > 0 ? "ready, but DEGRADED" : "ready";
}

function brokerText({ broker, roles }: GatewayStatus): string[] {
  if (!roles.includes("broker")) return ["The broker runs in another gateway."];
  if (!broker) return ["The broker does not answer."];
  const refused = Object.entries(broker.refused)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${count} ${reason}`);
  const again = broker.repeated > 0 ? ` (${broker.repeated} of them repeated)` : "";
  const lines = [
    `MQTT: ${broker.connections} connections, ${broker.inFlightMessages} messages in flight, ${broker.acknowledged} acknowledged${again}; refused: ${refused.join(", ") || "none"}`,
  ];
  lines.push(...droppedText({ broker }));
  const { producer } = broker;
  const unfounded = unfoundedAcknowledgements(broker);
  if (unfounded > 0) lines.push(`  ! At least ${unfounded} acknowledgements have no message in the stream.`);
  if (!broker.isOpen) lines.push("  ! The stream is so full that no further client may connect.");
  if (broker.registry.trouble)
    lines.push(
      `  ! The registry can't be reached, so no client with a key may connect: ${broker.registry.trouble.message}`,
    );
  if (producer.isFull) lines.push("  ! The stream does not keep up: publishers wait.");
  const held = producer.lanes.filter(({ heldSinceMs }) => heldSinceMs !== null);
  const causes = new Set(held.flatMap(({ lastFailure }) => lastFailure?.message ?? []));
  for (const cause of causes) lines.push(`  ! Publishers wait without acknowledgement: ${cause}`);
  return lines;
}

function streamText({ broker, consumer, stream }: GatewayStatus): string[] {
  const told = [ownStatus(broker), ownStatus(consumer)].filter((each) => each !== null);
  const by = told[0]?.kind.status.toldBy === "consumer" ? told.at(-1) : told[0];
  return by ? by.kind.summary(by.status, stream) : [];
}

/** Stays for as long as the stream is used: acknowledged messages that are in no table must stay visible. */
function replacementText({ broker, consumer }: GatewayStatus): string[] {
  const replacement = broker?.replacement ?? consumer?.replacement;
  if (!replacement || replacement.unread?.messages === 0) return [];
  const { replaces, unread, atMs } = replacement;
  const at = new Date(atMs).toISOString();
  return [`  ! Given up at ${at} with the stream ${replaces ?? "before this one"}: ${givenUpText(unread)}.`];
}

/** Who reads which partition, if several gateways share the stream. */
function leasesText({ leases }: NonNullable<GatewayStatus["consumer"]>): string[] {
  if (leases.partitions.every(({ expiresInMs }) => expiresInMs === null)) return [];
  const rows = leases.partitions.map(({ partition, owner, token, expiresInMs, isDue }) => [
    partition,
    owner === leases.processName ? `${owner} (this one)` : owner,
    token,
    expiresInMs === null ? null : Math.round(expiresInMs),
    isDue ? "handing over" : "",
  ]);
  const failure = leases.failure ? [`  ! The leases can't be renewed: ${leases.failure.message}`] : [];
  return ["", textTable(["partition", "owner", "token", "expires in ms", ""], rows), ...failure];
}

/** G8: read = filed + duplicates + quarantined + re-sent + misrouted, with nothing unaccounted. */
function booksText(status: GatewayStatus): string[] {
  const { books, consumer, roles } = status;
  if (!roles.includes("consumer")) return ["The consumer runs in another gateway, which has the books."];
  if (!books || !consumer) return ["The consumer does not answer: its books can't be shown."];
  const rows = consumer.partitions.map(({ partition, state, counters, unaccounted, ...lag }) => [
    partition,
    state,
    counters.read,
    counters.filed,
    counters.duplicates,
    counters.quarantined,
    counters.resent,
    counters.misrouted,
    unaccounted,
    lag.openMessages,
    lag.lagBytes ?? "?",
    lag.lagMs,
  ]);
  const finished = consumer.finished.length + consumer.past.partitions;
  const total = [
    finished > 0 ? `all, with ${finished} finished` : "all",
    "",
    books.read,
    books.filed,
    books.duplicates,
    books.quarantined,
    books.resent,
    books.misrouted,
  ];
  const header = ["partition", "state", "read", "filed", "duplicates", "quarantined", "re-sent", "misrouted"];
  const halts = consumer.partitions.flatMap(({ partition, halt }) =>
    halt ? [`  ! partition ${partition}: ${halt.code}: ${halt.message} Resume: ${halt.resume}`] : [],
  );
  return [
    textTable(
      [...header, "unaccounted", "waiting", "lag bytes", "lag ms"],
      [...rows, [...total, books.unaccounted, status.waiting?.openMessages ?? null, null, null]],
    ),
    ...booksVerdict(status),
    ...leasesText(consumer),
    ...halts,
    ...tablesText(consumer),
    ...outsideTimesText(consumer),
    ...failureText(consumer),
    ...retentionText(consumer),
    ...windowText(consumer),
  ];
}

/** Since the last commit: a committed fault is history. */
function failureText({ lastFailure, lastCommit }: NonNullable<GatewayStatus["consumer"]>): string[] {
  if (!lastFailure || lastFailure.atMs < (lastCommit?.atMs ?? 0)) return [];
  const at = (ms: number) => new Date(ms).toISOString();
  const since = lastCommit
    ? `Nothing was filed since ${at(lastCommit.atMs)}`
    : "Nothing was filed since the start";
  return [`  ! ${since}: ${lastFailure.message} (last tried at ${at(lastFailure.atMs)})`];
}

function retentionText({ partitions }: NonNullable<GatewayStatus["consumer"]>): string[] {
  return partitions.flatMap(({ partition, isEndangered, unfiledMs }) =>
    isEndangered
      ? `  ! partition ${partition}: messages wait for up to ${hoursText(unfiledMs ?? 0)}, more than half of the stream's retention: messages that are not filed in time are lost.`
      : [],
  );
}

const hourMs = 3_600_000;

/** Of devices above their share. */
const namesShownMax = 10;

const hoursText = (ms: number) =>
  ms < hourMs ? `${Math.ceil(ms / 60_000)} min` : `${Math.round(ms / hourMs)} h`;

function overShareText(window: {
  devicesOverShare: readonly number[];
  namesOverShare: readonly string[];
}): string[] {
  const count = window.devicesOverShare.length;
  if (count === 0) return [];
  const names = window.namesOverShare.slice(0, namesShownMax).join(", ");
  const who = `${count} ${count === 1 ? "device sends" : "devices send"} many more ids than others`;
  return [
    `  ! ${who}${names && ` (${names})`}: their ids are forgotten early, so a resend may be filed twice.`,
  ];
}

function windowText({ window }: NonNullable<GatewayStatus["consumer"]>): string[] {
  if (!window) return [];
  const span = `${Math.round(window.spanMs / 1_000)} s`;
  const short = window.isShort ? `  SHORT: duplicates are detected for the last ${span} only` : "";
  const unit = window.epochs === 1 ? "epoch" : "epochs";
  const epochs = window.epochs > 0 ? ` and ${window.epochs} ${unit} of devices (--dedupe exact)` : "";
  return [
    `Dedupe window: ${window.ids} ids${epochs} in ${window.bytes} bytes, spanning ${span}.${short}`,
    ...overShareText(window),
  ];
}
