import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Aedes, type AuthenticateError, type Client } from "aedes";
import { decodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";
import { type AuditResult, audit } from "../../simulator/audit/audit.ts";
import { openLake } from "../../simulator/audit/open-lake.ts";
import { SimulatorError } from "../../simulator/errors.ts";
import { openLedger } from "../../simulator/ledger/ledger-reader.ts";
import type { RunReport } from "../../simulator/report/report.ts";
import type { Scenario } from "../../simulator/scenario/scenario.ts";
import { newRunId, type SimulateOptions, simulate } from "../../simulator/simulate.ts";
import { AuditedLake, type LakeRow } from "../support/audited-lake.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-fleet-"));
after(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
const quiet = { show() {}, stop() {} };

/** Messages that all brokers have received. */
let receipts = 0;

interface Received {
  /** Number in the order of receipt. */
  readonly number: number;
  readonly client: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly dup: boolean;
}

interface StockBroker {
  readonly port: number;
  readonly received: Received[];
  readonly sockets: Set<Socket>;
  readonly clients: Client[];
}

/** Unmodified Aedes on a port of its own. `judge` may hold or refuse a publish; `null` = acknowledge. */
async function stockBroker(
  options: {
    judge?: (received: Received, client: Client) => Promise<Error | null>;
    authenticate?: (username: string | undefined, password: string | undefined) => number;
  } = {},
): Promise<StockBroker> {
  const received: Received[] = [];
  const clients: Client[] = [];
  const broker = await Aedes.createBroker({
    concurrency: 0,
    authenticate: (client, username, password, done) => {
      const returnCode = options.authenticate?.(username as string | undefined, password?.toString()) ?? 0;
      clients.push(client);
      if (returnCode === 0) done(null, true);
      else done(Object.assign(new Error("refused"), { returnCode }) as AuthenticateError, false);
    },
    authorizePublish: (client, packet, done) => {
      const message = {
        number: receipts++,
        client: client?.id ?? "",
        topic: packet.topic,
        payload: Buffer.from(packet.payload),
        dup: packet.dup,
      };
      received.push(message);
      if (!options.judge || !client) done(null);
      else void options.judge(message, client).then(done);
    },
  });
  const sockets = new Set<Socket>();
  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    broker.handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await new Promise<void>((resolve) => broker.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, received, sockets, clients };
}

function optionsOf(
  port: number,
  scenario: Partial<Scenario>,
  changes: Partial<SimulateOptions> = {},
): SimulateOptions {
  return {
    scenario: {
      runId: newRunId(),
      seed: 11,
      devices: 60,
      connections: 12,
      burst: 1,
      rate: 2000,
      durationS: 1,
      payloadBytes: 100,
      qos: 1,
      format: "json",
      filter: "fleet/{device}/telemetry",
      faults: {},
      ...scenario,
    },
    ledgerFolder: join(root, String(++folders)),
    append: false,
    gateways: [{ host: "127.0.0.1", port }],
    window: 20,
    connectRate: 1000,
    connectWaitMs: 5000,
    ackTimeoutMs: 20_000,
    drainMs: 30_000,
    ...changes,
  };
}

function run(options: SimulateOptions, stop = new AbortController().signal): Promise<RunReport> {
  return simulate(options, quiet, stop);
}

interface JsonMessage {
  readonly id?: string;
  readonly ts: number;
}

/**
 * The rows that a gateway without fault files from the broker's messages: each id once. Written without the
 * simulator's own code.
 */
function filed(received: readonly Received[]): LakeRow[] {
  const rows = new Map<string, LakeRow>();
  for (const { topic, payload } of received) {
    const { id, ts } = JSON.parse(payload.toString("utf8")) as JsonMessage;
    assert.ok(id);
    const deviceId = topic.split("/")[1] ?? "";
    const row = {
      deviceId,
      topic,
      messageId: Buffer.from(id),
      eventTimeMs: ts,
      ingestTimeMs: Date.now(),
      payload,
    };
    const known = rows.get(id);
    if (known) assert.deepEqual([known.payload, known.topic], [row.payload, row.topic]);
    else rows.set(id, row);
  }
  return [...rows.values()];
}

async function auditRows(ledgerFolder: string, rows: readonly LakeRow[]): Promise<AuditResult> {
  const lake = await AuditedLake.create(join(root, String(++folders)));
  after(() => lake.close());
  await lake.add("telemetry", rows);
  const options = {
    ledgerFolder,
    lake: openLake(`file:${lake.folder}`),
    waitMs: 0,
    settleMs: 0,
    lookAgainMs: 5,
  };
  return audit(options, quiet, new AbortController().signal);
}

test("a whole run is sent, acknowledged and recorded, and each device keeps its order", async () => {
  const broker = await stockBroker();
  const options = optionsOf(broker.port, {});
  const report = await run(options);
  assert.deepEqual(
    [report.planned, report.sent, report.acked, report.gaveUp, report.unsent],
    [2000, 2000, 2000, 0, 0],
  );
  assert.deepEqual([report.isWhole, report.resent, report.refused, report.strayAcks], [true, 0, 0, 0]);
  assert.ok(
    report.ackMs.p50 > 0 && report.ackMs.max >= report.ackMs.p99 && report.dueToAckMs.p50 >= report.ackMs.p50,
  );
  assert.ok(report.cpuUsPerMessage > 0);
  assert.equal(broker.received.length, 2000);
  assert.equal(new Set(broker.received.map(({ client }) => client)).size, 12);
  const last = new Map<string, number>();
  const homes = new Map<string, string>();
  for (const { topic, payload, client } of broker.received) {
    const { ts } = JSON.parse(payload.toString("utf8")) as JsonMessage;
    assert.ok(ts > (last.get(topic) ?? 0));
    last.set(topic, ts);
    assert.equal(homes.get(topic) ?? client, client);
    homes.set(topic, client);
  }
  assert.equal(last.size, 60);
  const [ledger] = openLedger(options.ledgerFolder);
  assert.deepEqual([ledger?.sent.count, ledger?.acked.count, ledger?.isComplete], [2000, 2000, true]);
  assert.equal((await auditRows(options.ledgerFolder, filed(broker.received))).isProven, true);
});

test("no connection ever has more unacknowledged messages than its window", async () => {
  const unacked = new Map<string, number>();
  let most = 0;
  const broker = await stockBroker({
    judge: async ({ client }) => {
      const count = (unacked.get(client) ?? 0) + 1;
      unacked.set(client, count);
      most = Math.max(most, count);
      await new Promise((resolve) => setTimeout(resolve, 20));
      unacked.set(client, (unacked.get(client) ?? 0) - 1);
      return null;
    },
  });
  const report = await run(
    optionsOf(broker.port, { devices: 20, connections: 2, rate: 1000, durationS: 0.5 }, { window: 3 }),
  );
  assert.equal(report.acked, 500);
  assert.equal(most, 3);
});

test("connections that break are opened again, and unacknowledged messages are sent again, unchanged and with DUP", async () => {
  const broker = await stockBroker({
    judge: () => new Promise((resolve) => setTimeout(() => resolve(null), 5)),
  });
  const cutter = setInterval(() => {
    const [socket] = broker.sockets;
    socket?.destroy();
  }, 60);
  const options = optionsOf(broker.port, { durationS: 2, faults: { disconnect: 1, duplicate: 0.05 } });
  const report = await run(options);
  clearInterval(cutter);
  assert.equal(report.acked, 4000);
  assert.ok(report.reconnects > 20, `${report.reconnects} reconnects`);
  assert.ok(report.cuts > 3, `${report.cuts} cuts`);
  assert.ok(report.copies > 50, `${report.copies} copies`);
  assert.ok(report.resent > 0, "no message was in flight when a connection broke");
  assert.ok(broker.received.filter(({ dup }) => dup).length > 0);
  const rows = filed(broker.received);
  assert.equal(rows.length, 4000);
  assert.ok(broker.received.length > 4000 + 50);
  assert.equal((await auditRows(options.ledgerFolder, rows)).isProven, true);
  const doubled = await auditRows(options.ledgerFolder, [...rows, rows[0] as LakeRow]);
  assert.deepEqual([doubled.duplicated, doubled.isProven], [1, false]);
});

test("a connection that ends continues at the next gateway, with its unacknowledged messages", async () => {
  const brokers = [await stockBroker(), await stockBroker()];
  const gateways = brokers.map(({ port }) => ({ host: "127.0.0.1", port }));
  const options = optionsOf(0, { durationS: 2, faults: { disconnect: 1 } }, { gateways });
  const report = await run(options);
  assert.equal(report.acked, 4000);
  const received = brokers.map((broker) => new Set(broker.received.map(({ topic }) => topic)));
  const both = [...(received[0] ?? [])].filter((topic) => received[1]?.has(topic));
  assert.ok(both.length > 20, `${both.length} devices published on both gateways`);
  const everything = brokers
    .flatMap((broker) => broker.received)
    .sort((left, right) => left.number - right.number);
  assert.equal((await auditRows(options.ledgerFolder, filed(everything))).isProven, true);
});

test("a missing acknowledgement makes the simulator send the message again", async () => {
  let swallowed = 0;
  const broker = await stockBroker({
    judge: () => (swallowed++ < 5 ? new Promise(() => undefined) : Promise.resolve(null)),
  });
  const options = optionsOf(broker.port, { devices: 5, connections: 5, rate: 100 }, { ackTimeoutMs: 500 });
  const report = await run(options);
  assert.equal(report.acked, 100);
  assert.ok(report.timeouts > 0 && report.resent > 0);
});

test("messages that stay unacknowledged are given up at the end of the time, and the ledger records that", async () => {
  const broker = await stockBroker({
    judge: ({ topic }) => (topic.includes("sim-3/") ? new Promise(() => undefined) : Promise.resolve(null)),
  });
  const options = optionsOf(
    broker.port,
    { devices: 5, connections: 5, rate: 100 },
    { drainMs: 500, window: 4 },
  );
  const report = await run(options);
  assert.deepEqual([report.acked, report.gaveUp, report.unsent, report.isWhole], [80, 4, 16, false]);
  const [ledger] = openLedger(options.ledgerFolder);
  assert.deepEqual([ledger?.sent.count, ledger?.acked.count, ledger?.gaveUp.count], [84, 80, 4]);
  assert.equal((await auditRows(options.ledgerFolder, filed(broker.received))).unackedStored, 4);
});

test("messages of QoS 0 are sent once and not acknowledged", async () => {
  const broker = await stockBroker();
  const report = await run(optionsOf(broker.port, { qos: 0 }));
  assert.deepEqual([report.sent, report.acked, report.isWhole], [2000, 0, true]);
  assert.equal(filed(broker.received).length, 2000);
});

test("envelopes and poison have the planned content", async () => {
  const broker = await stockBroker();
  const scenario = {
    format: "envelope",
    filter: "fleet/{device}/envelope",
    faults: { poison: 0.1 },
  } as const;
  const report = await run(optionsOf(broker.port, scenario));
  const undecodable = broker.received.filter(({ payload }) => {
    try {
      return decodeEnvelope(payload).payload.length !== 100;
    } catch {
      return true;
    }
  });
  assert.ok(report.poison > 100);
  assert.equal(undecodable.length, report.poison);
});

test("all connections use the single edge identity, with client ids below it", async () => {
  const broker = await stockBroker({
    authenticate: (username, password) => (username === "plant-1" && password === "key" ? 0 : 5),
  });
  const credentials = { username: "plant-1", password: Buffer.from("key") };
  const report = await run(optionsOf(broker.port, {}, credentials));
  assert.equal(report.acked, 2000);
  const ids = new Set(broker.clients.map(({ id }) => id));
  assert.ok(ids.size === 12 && [...ids].every((id) => id.startsWith("plant-1/")));
});

test("without a device level in the topic name, the client id names the device", async () => {
  const broker = await stockBroker();
  await run(optionsOf(broker.port, { devices: 12, filter: "telemetry" }));
  const ids = new Set(broker.received.map(({ client }) => client));
  assert.deepEqual(
    [...ids].sort(),
    Array.from({ length: 12 }, (_, device) => `sim-${String(device).padStart(2, "0")}`),
  );
});

function fails(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SimulatorError);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  };
}

test("refused credentials end the run at once, with the reason", async () => {
  const broker = await stockBroker({ authenticate: () => 4 });
  await assert.rejects(
    run(optionsOf(broker.port, {})),
    fails("SIMULATE_REFUSED", /wrong user name or password/),
  );
});

test("if a gateway accepts no message, the run ends, and the error says what to check", async () => {
  const broker = await stockBroker({ judge: () => Promise.resolve(new Error("unknown topic")) });
  await assert.rejects(
    run(optionsOf(broker.port, { devices: 3, connections: 3 })),
    fails("SIMULATE_REFUSED", /topics list/),
  );
});

test("a missing gateway is SIMULATE_UNREACHABLE, and leaves no ledger", async () => {
  const options = optionsOf(1, {}, { connectWaitMs: 300 });
  await assert.rejects(run(options), fails("SIMULATE_UNREACHABLE", /ECONNREFUSED.*tidegate up/));
  assert.throws(() => openLedger(options.ledgerFolder), fails("LEDGER_MISSING", /no run/));
});

test("a server that does not speak MQTT is tried again and again, and reported", async () => {
  const server = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  const options = optionsOf((server.address() as AddressInfo).port, {}, { connectWaitMs: 300 });
  await assert.rejects(run(options), fails("SIMULATE_UNREACHABLE", /begins with 0x48/));
});

test("a stop ends publishing, waits for acknowledgements, and closes the ledger", async () => {
  const broker = await stockBroker({
    judge: () => new Promise((resolve) => setTimeout(() => resolve(null), 100)),
  });
  const stop = new AbortController();
  let receivedAtStop = 0;
  setTimeout(() => {
    receivedAtStop = broker.received.length;
    stop.abort();
  }, 500);
  // Far more than the windows allow, so that every connection has a backlog at the stop.
  const options = optionsOf(broker.port, { rate: 20_000, durationS: 60 });
  const report = await run(options, stop.signal);
  assert.ok(report.wasStopped && !report.isWhole && report.sent > 0 && report.unsent > 0);
  assert.deepEqual([report.acked, report.gaveUp], [report.sent, 0]);
  const windows = options.scenario.connections * options.window;
  assert.ok(
    report.sent <= receivedAtStop + windows,
    `${report.sent} sent, ${receivedAtStop} before the stop`,
  );
  const [ledger] = openLedger(options.ledgerFolder);
  assert.deepEqual([ledger?.isComplete, ledger?.sent.count], [true, report.sent]);
  assert.equal((await auditRows(options.ledgerFolder, filed(broker.received))).isProven, true);
});
