import type { GatewayProcess } from "../gateway-process.ts";
import { RawMqtt } from "../raw-mqtt.ts";

/**
 * The things that a refusal may name: a JSON pointer, a property, a keyword, a reference, a pattern, a size,
 * or the place of a syntax error.
 */
const place =
  /#|schema\.|\/|propert|pattern|reference|keyword|\$async|type|columns|subschemas|compile|position|member|JSON/;
const refusalMaxLength = 1_500;

export interface SchemaOutcome {
  /** null = accepted. */
  readonly code: string | null;
  readonly faults: readonly string[];
}

interface Accepted {
  readonly name: string;
  readonly schema: string;
  readonly messages: number;
}

/** An admin who creates a topic for each schema, and a device that uses those that were accepted. */
export class SchemaAttack {
  readonly accepted: Accepted[] = [];
  readonly #gateway: GatewayProcess;
  readonly #device: RawMqtt;
  #next = 0;

  private constructor(gateway: GatewayProcess, device: RawMqtt) {
    this.#gateway = gateway;
    this.#device = device;
  }

  static async start(gateway: GatewayProcess): Promise<SchemaAttack> {
    const device = await RawMqtt.connected(gateway.mqttPort, { clientId: "schemas", keepalive: 0 });
    return new SchemaAttack(gateway, device);
  }

  async create(schema: string): Promise<SchemaOutcome> {
    const name = `schema_${this.#next++}`;
    const { status, code, message } = await this.#post(name, schema);
    const shown = `${schema.slice(0, 300)}: ${status} ${code} ${message.slice(0, 300)}`;
    if (status === 201) {
      await this.#use(name, schema);
      return { code: null, faults: [] };
    }
    const isClear = status === 400 && place.test(message) && message.length < refusalMaxLength;
    const isVague = /call stack|undefined|\[object|Cannot read/.test(message);
    return { code, faults: isClear && !isVague ? [] : [`a schema was refused badly: ${shown}`] };
  }

  /** Each message is one row in the topic's table or in `_quarantine`, and `query` reads both. */
  async check(): Promise<string[]> {
    const quarantined = await this.#counts("_quarantine", "topic LIKE 'schema!_%' ESCAPE '!'");
    const faults: string[] = [];
    for (const { name, schema, messages } of this.accepted) {
      const inQuarantine = quarantined.get(`${name}/d`) ?? 0;
      // A table appears with its first row.
      const filed = inQuarantine === messages ? 0 : await this.#filed(name);
      if (filed + inQuarantine !== messages)
        faults.push(`${filed} + ${inQuarantine} rows of ${messages} with the schema ${schema.slice(0, 300)}`);
    }
    return faults;
  }

  end(): void {
    this.#device.end();
  }

  async #post(name: string, schema: string): Promise<{ status: number; code: string; message: string }> {
    const response = await fetch(`${this.#gateway.httpUrl}/v1/topics`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.#gateway.token}`, "content-type": "application/json" },
      body: `{"name":"${name}","filter":"${name}/{device}","format":"json","schema":${schema}}`,
    });
    const { code = "", message = "" } = (await response.json()) as { code?: string; message?: string };
    return { status: response.status, code, message };
  }

  async #use(name: string, schema: string): Promise<void> {
    const ts = Date.now();
    const payloads = [
      `{"id":"1","ts":${ts}}`,
      `{"id":"2","ts":${ts},"v":1,"V":2,"n":9007199254740993,"s":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!","c":{"c":{"c":[1,1]}}}`,
      `{"id":"3","ts":${ts},"constructor":"x","select":0.3,"-":1e400,"é":null,"😀":true,"a.b":"\\u0000","1":"2026-11-28T12:00:00Z"}`,
      `{"id":"4","ts":${ts},"v":${"[".repeat(126)}${"]".repeat(126)}}`,
    ];
    this.#device.packets.length = 0;
    for (const [index, payload] of payloads.entries())
      this.#device.publish(`${name}/d`, payload, { messageId: index + 1 });
    await this.#device.until(() => this.#device.isClosed || this.#device.packets.length >= payloads.length);
    if (this.#device.isClosed) throw new Error(`the device was cut: ${schema.slice(0, 300)}`);
    this.accepted.push({ name, schema, messages: payloads.length });
  }

  async #filed(name: string): Promise<number> {
    const rows = await this.#gateway.query(`SELECT * FROM ${name}`);
    return rows.length;
  }

  async #counts(table: string, condition: string): Promise<Map<string, number>> {
    const sql = `SELECT topic, count(*) AS rows FROM ${table} WHERE ${condition} GROUP BY topic`;
    const rows = await this.#gateway.query(sql);
    return new Map(rows.map((row) => [String(row["topic"]), Number(row["rows"])]));
  }
}
