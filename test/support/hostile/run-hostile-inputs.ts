import fc from "fast-check";
import type { GatewayStatus } from "../../../gateway/status/gateway-status.ts";
import { statusOf, untilFiledAndTrimmed } from "../gateway-books.ts";
import type { GatewayProcess } from "../gateway-process.ts";
import type { LiveMemory, MemoryInUse } from "../live-memory.ts";
import { hostilePacket } from "./hostile-packets.ts";
import { hostileSchema } from "./hostile-schemas.ts";
import { createHostileTopics, findPayloads, hostilePayload, PayloadAttack } from "./payload-attack.ts";
import { SchemaAttack } from "./schema-attack.ts";
import { type PacketOutcome, sendPacket } from "./send-packet.ts";

/** Rounds, each with all kinds. Between rounds all messages are filed. */
const roundInputsMin = 500;
const rounds = 40;
const packetsAtOnce = 32;
const mib = 2 ** 20;
/** Each is a topic with a table. */
const schemasMax = 400;
/** Answered with SUBACK 0x80: the connection stays. */
const answeredReasons = new Set(["subscription", "subscription-limit"]);

export interface HostileRun {
  readonly inputs: number;
  readonly seed: number;
  /** The gateway was started in its environment. */
  readonly memory: LiveMemory;
  /** No further round begins after this. */
  readonly timeMaxMs: number;
}

export interface HostileReport {
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
  readonly payloads: Readonly<Record<string, unknown>>;
  readonly schemas: Readonly<Record<string, number>>;
  readonly packets: Readonly<Record<string, unknown>>;
  /** After each round, when all garbage was collected. */
  readonly memoryMiB: readonly {
    readonly inputs: number;
    readonly broker: RoleMemory;
    readonly consumer: RoleMemory;
  }[];
  /** [] = each input was filed, quarantined or refused with a reason, and the gateway is unharmed. */
  readonly faults: readonly string[];
}

export interface RoleMemory {
  readonly live: number;
  readonly resident: number;
}

/**
 * Sends hostile payloads, schemas and packets to a new gateway, in rounds of all kinds, and reports the
 * outcome of each.
 */
export async function runHostileInputs(gateway: GatewayProcess, run: HostileRun): Promise<HostileReport> {
  const beganMs = performance.now();
  const pids = pidsOf(gateway);
  await createHostileTopics(gateway);
  const payloads = await PayloadAttack.start(gateway);
  const schemas = await SchemaAttack.start(gateway);
  const packets = new PacketAttack(gateway);
  const refusedSchemas: Record<string, number> = {};
  const faults: string[] = [];
  const memoryMiB: HostileReport["memoryMiB"][number][] = [];
  let inputs = 0;
  let schemaCount = 0;
  for (let round = 0; inputs < run.inputs && performance.now() - beganMs < run.timeMaxMs; round++) {
    const size = Math.min(Math.max(roundInputsMin, run.inputs / rounds), run.inputs - inputs);
    const counts = {
      schemas: schemaCount < schemasMax ? Math.ceil(size * 0.05) : 0,
      packets: Math.floor(size * 0.35),
    };
    const draw = <Value>(values: fc.Arbitrary<Value>, numRuns: number) =>
      numRuns === 0 ? [] : fc.sample(values, { seed: run.seed + round, numRuns });
    const drawnSchemas = draw(hostileSchema(), counts.schemas);
    await Promise.all([
      payloads.publish(draw(hostilePayload(), size - counts.schemas - counts.packets)),
      packets.send(draw(hostilePacket(), counts.packets)),
      (async () => {
        for (const schema of drawnSchemas) {
          const { code, faults: found } = await schemas.create(schema);
          refusedSchemas[code ?? "accepted"] = (refusedSchemas[code ?? "accepted"] ?? 0) + 1;
          faults.push(...found);
        }
      })(),
    ]);
    inputs += size;
    schemaCount += drawnSchemas.length;
    await untilFiledAndTrimmed(gateway);
    memoryMiB.push({
      inputs,
      broker: await memoryOf(gateway, "broker", run.memory),
      consumer: await memoryOf(gateway, "consumer", run.memory),
    });
  }
  payloads.end();
  schemas.end();
  const { faults: payloadFaults, ...found } = await findPayloads(gateway, payloads.sent);
  const schemaFaults = await schemas.check();
  const status = await statusOf(gateway);
  faults.push(...packets.faults, ...payloadFaults, ...schemaFaults);
  faults.push(...(await gatewayFaults(gateway, pids, status)), ...memoryFaults(memoryMiB));
  await untilMemoryIsGivenBack(gateway, memoryMiB, run.memory);
  const publishes = payloads.sent.reduce((sum, { copies }) => sum + copies, 0);
  return {
    seed: run.seed,
    inputs,
    seconds: Math.round((performance.now() - beganMs) / 1_000),
    payloads: { inputs: payloads.sent.length, publishes, ...found, books: status.books },
    schemas: { inputs: schemaCount, ...refusedSchemas },
    packets: { ...packets.outcomes, refused: status.broker?.refused },
    memoryMiB,
    faults,
  };
}

/** Connections that each send invalid packets. */
class PacketAttack {
  readonly outcomes: Record<PacketOutcome["kind"], number> = { closed: 0, answered: 0, unfinished: 0 };
  readonly faults: string[] = [];
  readonly #gateway: GatewayProcess;
  #next = 0;

  constructor(gateway: GatewayProcess) {
    this.#gateway = gateway;
  }

  /**
   * Packets before CONNECT are sent one after another, because clients may take over each other's session,
   * which is not a refusal.
   */
  async send(packets: readonly Parameters<typeof sendPacket>[2][]): Promise<void> {
    const before = await this.#refusals();
    let due = 0;
    const take = async (packet: Parameters<typeof sendPacket>[2]) => {
      const outcome = await sendPacket(this.#gateway.mqttPort, `packets${this.#next++}`, packet);
      this.outcomes[outcome.kind]++;
      if (outcome.isRefusalDue) due++;
    };
    for (const packet of packets.filter(({ isFirst }) => isFirst)) await take(packet);
    const later = packets.filter(({ isFirst }) => !isFirst);
    while (later.length > 0) await Promise.all(later.splice(0, packetsAtOnce).map(take));
    const counted = (await this.#refusals()) - before;
    if (counted < due) this.faults.push(`${due} connections were closed, and ${counted} refusals counted`);
  }

  async #refusals(): Promise<number> {
    const counters = (await this.#gateway.metrics()).matchAll(
      /^tidegate_broker_refused_total\{[^}]*reason="([^"]+)"[^}]*\} (\d+)/gm,
    );
    let sum = 0;
    for (const [, reason = "", count] of counters) if (!answeredReasons.has(reason)) sum += Number(count);
    return sum;
  }
}

function pidsOf(gateway: GatewayProcess): (number | null)[] {
  return [gateway.pid, gateway.childPid("broker"), gateway.childPid("consumer")];
}

const roles = ["broker", "consumer"] as const;
type MeasuredRole = (typeof roles)[number];

async function memoryOf(
  gateway: GatewayProcess,
  role: MeasuredRole,
  memory: LiveMemory,
): Promise<RoleMemory> {
  const { liveBytes, residentBytes }: MemoryInUse = await memory.of(gateway.childPid(role) ?? 0);
  return { live: Math.round(liveBytes / mib), resident: Math.round(residentBytes / mib) };
}

/** Both processes hold about as much memory at the end as after half of the inputs. */
function memoryFaults(memoryMiB: HostileReport["memoryMiB"]): string[] {
  const [half, last] = [memoryMiB[halfOf(memoryMiB)], memoryMiB.at(-1)];
  if (!half || !last) return [];
  return roles.flatMap((role) => {
    const [before, now] = [half[role].live, last[role].live];
    return now <= 1.3 * before + 8 ? [] : [`${role} held ${before} MiB and holds ${now} MiB`];
  });
}

/** Both processes give the memory of their garbage back, native memory included. */
async function untilMemoryIsGivenBack(
  gateway: GatewayProcess,
  memoryMiB: HostileReport["memoryMiB"],
  memory: LiveMemory,
): Promise<void> {
  const firstHalf = memoryMiB.slice(0, halfOf(memoryMiB) + 1);
  for (const role of roles) {
    const least = Math.min(...firstHalf.map((measured) => measured[role].resident));
    await memory.untilResident(gateway.childPid(role) ?? 0, (1.3 * least + 64) * mib);
  }
}

function halfOf(list: readonly unknown[]): number {
  return Math.floor((list.length - 1) / 2);
}

/** No process restarted or is stuck, the books balance, and the log asks for no operator. */
async function gatewayFaults(
  gateway: GatewayProcess,
  pids: readonly (number | null)[],
  { books, processes, degraded, waiting, isReady, broker }: GatewayStatus,
): Promise<string[]> {
  const faults: string[] = [];
  if (pidsOf(gateway).join() !== pids.join() || processes.some(({ restarts }) => restarts > 0))
    faults.push(`the processes ${pids} are now ${pidsOf(gateway)}`);
  if (!books?.isBalanced || !isReady || degraded.length > 0 || waiting?.reasons.length !== 0)
    faults.push(`the gateway is not as it was: ${JSON.stringify({ books, isReady, degraded, waiting })}`);
  const appended = broker?.producer.totals.appendedMessages;
  if (appended !== books?.read) faults.push(`${appended} messages were appended and ${books?.read} read`);
  for (const line of gateway.output.split("\n"))
    if (/"level":[56]0/.test(line)) faults.push(line.slice(0, 2_000));
  return faults;
}
