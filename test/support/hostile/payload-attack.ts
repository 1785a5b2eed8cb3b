import { createHash } from "node:crypto";
import fc from "fast-check";
import type { Packet } from "mqtt-packet";
import type { GatewayProcess } from "../gateway-process.ts";
import { RawMqtt } from "../raw-mqtt.ts";
import { hostileJson } from "./hostile-json.ts";
import { hostileProtobuf } from "./hostile-protobuf.ts";

const connections = 8;
const inFlightMax = 60;
const payloadMaxBytes = 131_072;
const rowsPerQuery = 20_000;
const columns = "topic, md5(payload) AS md5";
const typedColumns = `${columns}, v, n::VARCHAR AS n, md5(s) AS s`;

/** Each with a table; the topic name of a message is `table/device`. */
const tables = ["hostile_typed", "hostile_json", "hostile_envelope", "hostile_inner", "hostile_raw"] as const;
type Table = (typeof tables)[number];

const schema = {
  type: "object",
  definitions: { tree: { type: "object", properties: { c: { $ref: "#/definitions/tree" } } } },
  properties: {
    v: { type: "number", multipleOf: 1e-9 },
    n: { type: "integer", maximum: 1e300 },
    s: { type: ["string", "null"], pattern: "^(a+)+$|^[^!]*$" },
    at: { type: "string", format: "date-time" },
    on: { type: "boolean" },
    constructor: { type: "number" },
    tags: { type: "array", uniqueItems: true },
    c: { $ref: "#/definitions/tree" },
  },
  patternProperties: { "^(m+)+$": { enum: [1, "x", null, { a: [] }] } },
};

const definitions: Readonly<Record<Table, object>> = {
  hostile_typed: { format: "json", schema },
  hostile_json: { format: "json" },
  hostile_envelope: { format: "envelope" },
  hostile_inner: { format: "envelope", schema },
  hostile_raw: { format: "raw" },
};

export interface SentPayload {
  readonly table: Table;
  readonly device: string;
  readonly md5: string;
  readonly copies: number;
  /** Values of its columns if it is filed. Other columns are not compared. */
  readonly values: Readonly<Record<string, unknown>>;
}

export async function createHostileTopics(gateway: GatewayProcess): Promise<void> {
  for (const [name, definition] of Object.entries(definitions)) {
    const body = { name, filter: `${name}/{device}`, ...definition };
    const answer = await gateway.api("POST", "/v1/topics", body);
    if (answer.status >= 300) throw new Error(`${name}: ${JSON.stringify(answer.body)}`);
  }
}

export interface DrawnPayload {
  readonly table: Table;
  readonly bytes: Buffer;
  /** Sent twice by a device that has lost its acknowledgement. */
  readonly copies: 1 | 2;
}

export function hostilePayload(): fc.Arbitrary<DrawnPayload> {
  const json = hostileJson(payloadMaxBytes);
  const table = fc.constantFrom(...tables, "hostile_typed" as const, "hostile_typed" as const);
  const copies = fc.constantFrom(1, 1, 1, 2) as fc.Arbitrary<1 | 2>;
  return fc.tuple(table, json, hostileProtobuf(), copies).map(([table, text, envelope, copies]) => {
    const isEnvelope = table === "hostile_envelope" || table === "hostile_inner";
    const bytes = (isEnvelope ? envelope : text).subarray(0, payloadMaxBytes);
    return { table, bytes, copies: table === "hostile_raw" ? 1 : copies };
  });
}

/**
 * Clients that publish hostile payloads, each as of a device of its own, and get an acknowledgement for each.
 */
export class PayloadAttack {
  readonly sent: SentPayload[] = [];
  readonly #clients: readonly RawMqtt[];
  #next = 0;

  private constructor(clients: readonly RawMqtt[]) {
    this.#clients = clients;
  }

  static async start(gateway: GatewayProcess): Promise<PayloadAttack> {
    const opened = Array.from({ length: connections }, (_, index) =>
      RawMqtt.connected(gateway.mqttPort, { clientId: `payloads${index}`, keepalive: 0 }),
    );
    return new PayloadAttack(await Promise.all(opened));
  }

  /** Resolves once all of them are acknowledged. Throws if a connection was closed. */
  async publish(payloads: readonly DrawnPayload[]): Promise<void> {
    const queue = payloads.map((drawn) => ({ ...drawn, device: `h${this.#next++}` }));
    await Promise.all(this.#clients.map((client) => this.#drain(client, queue)));
  }

  end(): void {
    for (const client of this.#clients) client.end();
  }

  async #drain(client: RawMqtt, queue: (DrawnPayload & { device: string })[]): Promise<void> {
    for (;;) {
      const own = queue.splice(0, inFlightMax / 2);
      if (own.length === 0) return;
      client.packets.length = 0;
      let count = 0;
      for (const { table, bytes, copies, device } of own)
        for (let copy = 0; copy < copies; copy++) {
          const topic = `${table}/${device}`;
          const packet = { cmd: "publish", topic, payload: bytes, qos: 1, dup: copy > 0, retain: false };
          client.send({ ...packet, messageId: ++count } as Packet);
        }
      await client.until(() => client.isClosed || client.packets.length >= count);
      if (client.isClosed) throw new Error(`a publisher was cut with one of ${describe(own)}`);
      for (const { table, bytes, copies, device } of own)
        this.sent.push({ table, device, copies, md5: md5(bytes), values: valuesOf(bytes) });
    }
  }
}

function md5(bytes: Buffer | string): string {
  return createHash("md5").update(bytes).digest("hex");
}

/** By JSON.parse, which keeps the digits of safe integers. */
function valuesOf(bytes: Buffer): Record<string, unknown> {
  try {
    const { v = null, n = null, s = null } = JSON.parse(bytes.toString("utf8")) as Record<string, unknown>;
    const isExact = n === null || Number.isSafeInteger(n);
    const values = { v: typeof v === "number" ? v + 0 : v, s: typeof s === "string" ? md5(s) : s };
    return isExact ? { ...values, n: n === null ? null : String(Number(n) + 0) } : values;
  } catch {
    return {};
  }
}

function describe(payloads: readonly DrawnPayload[]): string {
  return payloads
    .map(({ table, bytes }) => `${table} ${bytes.subarray(0, 200).toString("base64")}`)
    .join("\n");
}

export interface FiledPayloads {
  readonly filed: number;
  readonly quarantined: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
}

/** Looks for each in the tables: one row there, or one in `_quarantine`, with the bytes sent. */
export async function findPayloads(
  gateway: GatewayProcess,
  sent: readonly SentPayload[],
): Promise<FiledPayloads> {
  const bySender = new Map(sent.map((payload) => [`${payload.table}/${payload.device}`, payload]));
  const rowsOf = new Map<string, number>();
  const unidentified = new Set<string>();
  const faults: string[] = [];
  const quarantined: Record<string, number> = {};
  let filed = 0;
  const take = (row: Record<string, unknown>) => {
    const name = String(row["topic"]);
    rowsOf.set(name, (rowsOf.get(name) ?? 0) + 1);
    const payload = bySender.get(name);
    const isWhole = payload?.table.match(/envelope|inner/) === null;
    if (isWhole && row["md5"] !== payload?.md5) faults.push(`${name} is filed with other bytes`);
  };
  for (const table of tables)
    for await (const row of rows(gateway, table, table === "hostile_typed" ? typedColumns : columns)) {
      filed++;
      take(row);
      if (table !== "hostile_typed") continue;
      for (const [column, value] of Object.entries(bySender.get(String(row["topic"]))?.values ?? {}))
        if (row[column] !== value) faults.push(`${row["topic"]}: ${column} is ${row[column]}, not ${value}`);
    }
  for await (const row of rows(gateway, "_quarantine", `${columns}, reason, detail, hex(message_id) AS id`)) {
    const reason = String(row["reason"]);
    if (!bySender.has(String(row["topic"]))) continue;
    quarantined[reason] = (quarantined[reason] ?? 0) + 1;
    // A resend of it can't be detected.
    if (row["id"] === null) unidentified.add(String(row["topic"]));
    if (reason.endsWith("-failed")) faults.push(`${row["topic"]}: ${reason}: ${row["detail"]}`);
    take(row);
  }
  for (const [name, { copies }] of bySender)
    if (rowsOf.get(name) !== (unidentified.has(name) ? copies : 1))
      faults.push(`${name} has ${rowsOf.get(name) ?? 0} rows, and was sent ${copies} times`);
  return { filed, quarantined, faults };
}

async function* rows(
  gateway: GatewayProcess,
  table: string,
  columns: string,
): AsyncGenerator<Record<string, unknown>> {
  for (let offset = 0; ; offset += rowsPerQuery) {
    const order = `ORDER BY topic LIMIT ${rowsPerQuery} OFFSET ${offset}`;
    const found = await gateway.query(`SELECT ${columns} FROM ${table} ${order}`);
    yield* found;
    if (found.length < rowsPerQuery) return;
  }
}
