import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { statusOf } from "../support/gateway-books.ts";
import { GatewayProcess } from "../support/gateway-process.ts";
import { costlyCommits, exampleAttacks } from "../support/hostile/example-attacks.ts";
import { type AcknowledgedMessage, SteadyPublishers } from "../support/steady-publishers.ts";
import { tableGrowth } from "../support/table-growth.ts";

const batchAgeMs = 2_000;
const devices = 10;
const perSecond = 50;
/** Time in which batches are measured without any attack. */
const calmMs = 6 * batchAgeMs;
const topic = "steady";
/**
 * Duration of the calm, and then of the attack. The two follow each other directly, so that other load of the
 * machine affects both.
 */
const phaseMs = 1_500;
/**
 * BYSTANDERS=judge checks more: the median of nine pairs may not exceed 3 times. Speed is judged on a machine
 * at rest, not beside other tests. Without it, the test only checks that no attack makes anyone wait for
 * long.
 */
const judgesSpeed = process.env["BYSTANDERS"] === "judge";
const pairs = judgesSpeed ? 9 : 3;
const slowdownMax = 3;
const waitMaxMs = 10_000;

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}

interface Phase {
  readonly fromMs: number;
  readonly toMs: number;
}

function within<Message extends AcknowledgedMessage>(
  messages: readonly Message[],
  { fromMs, toMs }: Phase,
): Message[] {
  return messages.filter(({ sentAtMs }) => sentAtMs >= fromMs && sentAtMs < toMs);
}

function waitOf({ sentAtMs, acknowledgedAtMs }: AcknowledgedMessage): number {
  return acknowledgedAtMs - sentAtMs;
}

function p99Of(messages: readonly AcknowledgedMessage[]): number {
  assert(messages.length > 200, `only ${messages.length} messages`);
  const waits = messages.map(waitOf);
  return waits.sort((left, right) => left - right)[Math.floor(waits.length * 0.99)] ?? 0;
}

/**
 * Time from acknowledgement to table: the moment when the table has as many rows as messages were
 * acknowledged before.
 */
function delaysOf(
  messages: readonly AcknowledgedMessage[],
  growth: ReturnType<typeof tableGrowth>,
): (AcknowledgedMessage & { readonly delayMs: number })[] {
  const ordered = messages.toSorted((left, right) => left.acknowledgedAtMs - right.acknowledgedAtMs);
  let entry = 0;
  return ordered.map((message, index) => {
    while ((growth[entry]?.rows ?? Number.POSITIVE_INFINITY) <= index) entry++;
    return { ...message, delayMs: (growth[entry]?.atMs ?? Number.NaN) - message.acknowledgedAtMs };
  });
}

const now = () => performance.timeOrigin + performance.now();

describe("attacks that once stopped other clients", { concurrency: false }, () => {
  let gateway: GatewayProcess;
  let publishers: SteadyPublishers;
  let calm: Phase;
  const phases = new Map<string, { readonly calm: Phase[]; readonly attack: Phase[] }>();

  const p99sOf = ({ calm, attack }: { calm: readonly Phase[]; attack: readonly Phase[] }) => {
    const { messages } = publishers;
    return calm.map((phase, turn) => ({
      before: p99Of(within(messages, phase)),
      during: p99Of(within(messages, attack[turn] as Phase)),
    }));
  };
  const slowdown = (own: Parameters<typeof p99sOf>[0]) =>
    median(p99sOf(own).map(({ before, during }) => during / before));

  before(async () => {
    gateway = await GatewayProcess.start({
      environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: String(batchAgeMs) },
    });
    for (const { prepare, ...attack } of exampleAttacks) await prepare?.call(attack, gateway);
    await gateway.api("POST", "/v1/topics", { name: topic, filter: `${topic}/{device}`, format: "json" });
    publishers = await SteadyPublishers.start(gateway.mqttPort, devices, perSecond);
    await gateway.until("they publish", () => publishers.messages.length > devices * perSecond);
    const fromMs = now();
    await delay(calmMs);
    calm = { fromMs, toMs: now() };
  });
  after(async () => {
    await publishers?.stop().catch(() => {});
    await gateway?.destroy();
  });

  test("each attack gets its answers while ten devices publish on another topic", async () => {
    for (const { name, run } of exampleAttacks) {
      const own = { calm: [] as Phase[], attack: [] as Phase[] };
      phases.set(name, own);
      for (let turn = 0; turn < pairs; turn++) {
        const calmAtMs = now();
        await delay(phaseMs);
        const attackAtMs = now();
        await Promise.all([run.call({ name, run }, gateway, turn), delay(phaseMs)]);
        own.calm.push({ fromMs: calmAtMs, toMs: attackAtMs });
        own.attack.push({ fromMs: attackAtMs, toMs: now() });
      }
    }
    await publishers.stop();
  });

  test("PUBACKs of these devices continue, with a p99 near that of the calm before each attack", (t) => {
    const failed: string[] = [];
    for (const [name, { calm, attack }] of phases) {
      const figures = p99sOf({ calm, attack });
      t.diagnostic(
        `${name}: ${figures.map(({ before, during }) => `${before.toFixed(1)} → ${during.toFixed(1)} ms`).join(", ")}`,
      );
      const factor = slowdown({ calm, attack });
      if (judgesSpeed && factor > slowdownMax) failed.push(`${name}: ${factor.toFixed(1)} times`);
      const waits = attack.flatMap((phase) => within(publishers.messages, phase)).map(waitOf);
      if (Math.max(...waits) > waitMaxMs) failed.push(`${name}: ${Math.max(...waits)} ms`);
    }
    assert.deepEqual(failed, []);
  });

  test("rows of these devices are in their table within twice the batch age plus the time of a commit", async (t) => {
    const { messages } = publishers;
    const folder = join(gateway.dataFolder, "lake", topic);
    await gateway.until(
      "all messages are filed",
      () => (tableGrowth(folder).at(-1)?.rows ?? 0) >= messages.length,
    );
    const delays = delaysOf(messages, tableGrowth(folder));
    const longestOf = (phase: Phase) => Math.max(...within(delays, phase).map(({ delayMs }) => delayMs));
    const before = longestOf(calm);
    const commitMs = Math.max(0, before - batchAgeMs);
    t.diagnostic(`rows after ${before.toFixed(0)} ms at most without attacks`);
    for (const [name, { attack }] of phases) {
      const longest = attack.map(({ fromMs, toMs }) => longestOf({ fromMs: fromMs - batchAgeMs, toMs }));
      t.diagnostic(`${name}: ${longest.map((ms) => ms.toFixed(0)).join(", ")} ms`);
      // The cost of a message in each of 200 topics is measured and documented in docs/containment.md; this
      // attack comes last.
      if (name !== costlyCommits)
        assert(median(longest) <= 2 * batchAgeMs + commitMs, `${name}: ${longest.join(", ")} ms`);
    }
    assert.equal(tableGrowth(folder).at(-1)?.rows, messages.length);
  });

  test("no process restarted, the books balance, and only parked tables are logged as errors", async () => {
    const { processes, books } = await statusOf(gateway);
    assert.deepEqual(
      processes.map(({ restarts }) => restarts),
      [0, 0, 0],
    );
    assert.equal(books?.isBalanced, true);
    assert.deepEqual(
      gateway.output
        .split("\n")
        .filter((line) => /"level":[56]0/.test(line) && !line.includes("table.parked")),
      [],
    );
  });
});
