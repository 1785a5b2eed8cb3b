import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openLedger } from "../../simulator/ledger/ledger-reader.ts";
import type { RunReport } from "../../simulator/report/report.ts";
import type { Scenario } from "../../simulator/scenario/scenario.ts";
import { newRunId, simulate } from "../../simulator/simulate.ts";
import { GatewayProcess, runCli } from "../support/gateway-process.ts";
import { type RecordedConnection, RecordingBroker } from "../support/recording-broker.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-mix-"));
after(() => rmSync(root, { recursive: true, force: true }));
let ledgers = 0;
/** Limit for a run whose awaited event never happens. */
const longestS = 300;
const quiet = { show() {}, stop() {} };

/** @param isDone The run publishes until this holds, however long that takes; absent: for 3 s. */
async function run(
  broker: RecordingBroker,
  scenario: Partial<Scenario>,
  isDone?: () => boolean,
): Promise<{ report: RunReport; ledger: string }> {
  const ledger = join(root, String(++ledgers));
  const stop = new AbortController();
  const looks = isDone && setInterval(() => isDone() && stop.abort(), 50);
  const report = await simulate(
    {
      scenario: {
        runId: newRunId(),
        seed: 3,
        devices: 20,
        connections: 5,
        burst: 1,
        rate: 500,
        durationS: isDone ? longestS : 3,
        payloadBytes: 100,
        qos: 1,
        format: "json",
        filter: "fleet/{device}/telemetry",
        faults: {},
        ...scenario,
      },
      ledgerFolder: ledger,
      append: false,
      gateways: [{ host: "127.0.0.1", port: broker.port }],
      window: 20,
      connectRate: 1000,
      connectWaitMs: 5000,
      ackTimeoutMs: 20_000,
      drainMs: 30_000,
    },
    quiet,
    stop.signal,
  );
  clearInterval(looks);
  return { report, ledger };
}

async function withBroker(
  work: (broker: RecordingBroker) => Promise<void>,
  options: { readonly answerAfterMs?: number } = {},
): Promise<void> {
  const broker = await RecordingBroker.listen(options);
  try {
    await work(broker);
  } finally {
    broker.close();
  }
}

function publishesOf({ packets }: RecordedConnection) {
  return packets.flatMap((packet) => (packet.cmd === "publish" ? [packet] : []));
}

function commandsOf({ packets }: RecordedConnection): string[] {
  return packets.map(({ cmd }) => cmd);
}

function visitorsOf({ connections }: RecordingBroker): RecordedConnection[] {
  return connections.filter(({ clientId }) => /-v[0-9a-z]+$/.test(clientId));
}

test("QoS 0, 1 and 2 work side by side: each PUBREC gets its PUBREL, and the run is complete", () =>
  withBroker(async (broker) => {
    const { report, ledger } = await run(broker, { mix: { qos0: 0.2, qos2: 0.4 } });
    const publishes = broker.connections.flatMap(publishesOf);
    const of = (qos: number) => publishes.filter((packet) => packet.qos === qos).length;
    assert.ok(of(0) > 200 && of(1) > 400 && of(2) > 400);
    assert.equal(publishes.length, 1500);
    const released = broker.connections.flatMap(commandsOf).filter((command) => command === "pubrel");
    assert.equal(released.length, of(2));
    assert.deepEqual(
      [report.sent, report.acked, report.isWhole, report.strayAcks],
      [1500, of(1) + of(2), true, 0],
    );
    assert.equal(openLedger(ledger)[0]?.acked.count, of(1) + of(2));
  }));

test("persistent sessions ask for their session again, and continue it", () =>
  withBroker(async (broker) => {
    const { report } = await run(broker, { mix: { persistent: 0.6, qos2: 0.5 }, faults: { disconnect: 1 } });
    assert.equal(report.isWhole, true);
    const cleanOf = new Map<string, Set<boolean>>();
    for (const { clientId, packets } of broker.connections)
      for (const packet of packets)
        if (packet.cmd === "connect")
          cleanOf.set(clientId, (cleanOf.get(clientId) ?? new Set()).add(packet.clean === true));
    assert.equal(cleanOf.size, 5);
    assert.ok([...cleanOf.values()].every((clean) => clean.size === 1));
    assert.deepEqual([...new Set([...cleanOf.values()].flatMap((clean) => [...clean]))].sort(), [
      false,
      true,
    ]);
  }));

test("a takeover connects while the old connection is open, and sends messages without a received acknowledgement again", () =>
  withBroker(async (broker) => {
    const reconnects = () => broker.connections.length - grouped(broker.connections).size;
    const { report } = await run(broker, { faults: { takeover: 0.5 } }, () => reconnects() >= 6);
    assert.equal(report.acked, report.sent);
    assert.ok(report.takeovers >= 5 && report.reconnects >= report.takeovers);
    const openTogether = [...grouped(broker.connections).values()].flatMap((connections) =>
      connections.slice(1).filter((connection, at) => {
        const before = connections[at]?.endedAtMs ?? Number.POSITIVE_INFINITY;
        return before > connection.beganAtMs;
      }),
    );
    assert.equal(openTogether.length, report.takeovers);
    const distinct = new Set(
      broker.connections.flatMap(publishesOf).map(({ payload }) => payload.toString()),
    );
    assert.equal(distinct.size, report.sent);
  }));

function grouped(connections: readonly RecordedConnection[]): Map<string, RecordedConnection[]> {
  const groups = new Map<string, RecordedConnection[]>();
  for (const each of connections) groups.set(each.clientId, [...(groups.get(each.clientId) ?? []), each]);
  return groups;
}

test("after a reboot identifiers start at 1, without DUP, and some QoS 2 messages stay between PUBREC and PUBREL", () =>
  withBroker(
    async (broker) => {
      const againOf = () => [...grouped(broker.connections).values()].flatMap((group) => group.slice(1));
      const { report, ledger } = await run(
        broker,
        { mix: { qos2: 0.7, persistent: 1 }, faults: { reboot: 1 } },
        () => againOf().length >= 20,
      );
      const groups = [...grouped(broker.connections).values()];
      const again = againOf();
      assert.equal(report.acked + report.forgotten, report.sent);
      const { reboots, resent, forgotten } = report;
      assert.ok(reboots >= 20 && resent > 0 && forgotten > 0, JSON.stringify({ reboots, resent, forgotten }));
      for (const connection of again) {
        const first = publishesOf(connection)[0];
        if (first) assert.deepEqual([first.messageId, first.dup], [1, false]);
      }
      const left = groups.flatMap((connections) =>
        connections.slice(0, -1).filter((connection) => {
          const at2 = publishesOf(connection).filter(({ qos }) => qos === 2).length;
          return at2 > commandsOf(connection).filter((command) => command === "pubrel").length;
        }),
      );
      assert.ok(left.length > 0, "no exchange was left unfinished");
      const [book] = openLedger(ledger);
      assert.equal(book?.gaveUp.count, report.forgotten);
    },
    { answerAfterMs: 20 },
  ));

test("a sleeping device sends everything in one write and disconnects; half of these devices wait for an answer", () =>
  withBroker(async (broker) => {
    const { report, ledger } = await run(broker, { mix: { sleepy: 0.05, qos0: 0.3 } });
    const visitors = visitorsOf(broker);
    assert.ok(visitors.length > 40);
    for (const visitor of visitors)
      assert.deepEqual(commandsOf(visitor), ["connect", "publish", "disconnect"]);
    const [book] = openLedger(ledger);
    assert.ok(book);
    assert.equal(report.isWhole, true);
    const acked = report.acked - broker.connections.flatMap(publishesOf).filter(({ qos }) => qos > 0).length;
    assert.ok(report.delivered > 0 && acked < 0);
    assert.equal(book.delivered.count, report.delivered);
    assert.deepEqual([...book.delivered.without(book.sent)], []);
  }));

test("a client leaves a will with the gateway, and its connection ends without DISCONNECT", () =>
  withBroker(async (broker) => {
    const { report } = await run(broker, { mix: { will: 0.05, qos2: 0.3 } });
    const visitors = visitorsOf(broker);
    assert.ok(visitors.length > 40);
    for (const visitor of visitors) {
      const [connect, ...others] = visitor.packets;
      assert.ok(connect?.cmd === "connect" && others.length === 0);
      const will = connect.will ?? assert.fail();
      assert.match(will.topic, /^fleet\/sim-\d+\/telemetry$/);
      assert.ok(JSON.parse(String(will.payload)).id);
    }
    assert.equal(report.delivered, visitors.length);
    assert.equal(report.isWhole, true);
  }));

test("a big message is sent right after CONNACK, and again until it is acknowledged", () =>
  withBroker(async (broker) => {
    const { report } = await run(broker, { rate: 200, mix: { big: 0.05, qos2: 0.5 } });
    const visitors = visitorsOf(broker);
    assert.ok(visitors.length > 10);
    for (const visitor of visitors) {
      const [publish] = publishesOf(visitor);
      assert.ok(publish && publish.payload.length >= 70_000);
      assert.ok(JSON.parse(publish.payload.toString()).id);
      assert.equal(commandsOf(visitor).at(-1), "disconnect");
    }
    assert.deepEqual([report.acked, report.isWhole], [report.planned, true]);
  }));

let gateway: GatewayProcess | undefined;
before(async () => {
  gateway = await GatewayProcess.start({ environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300" } });
});
after(() => gateway?.destroy());

test("messages of a fleet with all features, with topics that come, change and go, are filed as its ledger says", async () => {
  const { mqttPort, httpPort, dataFolder } = gateway ?? assert.fail();
  const ledger = join(root, "everything");
  const fleet = await runCli([
    ...[
      "simulate",
      "--devices",
      "300",
      "--connections",
      "30",
      "--rate",
      "400",
      "--duration",
      "12",
      "--seed",
      "9",
    ],
    ...["--topic", "plant/{device}/{part}", "--mix", "all,sleepy=0.01,will=0.01,big=0.002"],
    ...["--faults", "all,topics=0.5,takeover=0.05,reboot=0.05", "--topic-window", "600"],
    ...["--api", `http://127.0.0.1:${httpPort}`, "--token-file", join(dataFolder, "api-token")],
    ...["--mqtt", `mqtt://127.0.0.1:${mqttPort}`, "--ledger", ledger, "--json"],
  ]);
  const report = fleet.json as RunReport;
  assert.equal(fleet.code, 0, fleet.stderr + fleet.stdout);
  assert.ok(report.takeovers > 5 && report.reboots > 5 && report.delivered > 20 && report.copies > 20);
  const { created, changed, deleted } = report.topics;
  assert.ok(created >= 1 && changed >= 1 && deleted >= 1, JSON.stringify(report.topics));
  const judged = await runCli([
    "audit",
    "--ledger",
    ledger,
    "--lake",
    `file:${join(dataFolder, "lake")}`,
    "--json",
  ]);
  const result = judged.json as Record<string, unknown>;
  assert.equal(result["isProven"], true, judged.stdout);
  assert.deepEqual([result["undelivered"], result["acked"]], [0, report.acked]);
  assert.ok(Number(result["plannedReuse"]) > 0 && Number(result["plannedPoison"]) > 0);
});

test("a topic that leaves no room for a more specific one, and an API that refuses the token, are reported", async () => {
  const { mqttPort, httpPort, dataFolder } = gateway ?? assert.fail();
  const base = [
    "simulate",
    "--mqtt",
    `mqtt://127.0.0.1:${mqttPort}`,
    "--api",
    `http://127.0.0.1:${httpPort}`,
    "--json",
  ];
  const token = ["--token-file", join(dataFolder, "api-token")];
  const specific = await runCli([...base, ...token, "--ledger", join(root, "a"), "--faults", "topics"]);
  assert.equal(specific.code, 2);
  assert.match(specific.stderr, /leaves no room for a more specific topic/);
  const wrong = ["--token-file", join(dataFolder, "processes.json"), "--connect-wait", "1"];
  const refused = await runCli([...base, ...wrong, "--ledger", join(root, "b"), "--mix", "typed"]);
  assert.equal(refused.code, 1);
  assert.equal((refused.json as { error: { code: string } }).error.code, "SIMULATE_API");
});
