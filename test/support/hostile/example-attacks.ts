import { join } from "node:path";
import mqttPacket, { type Packet } from "mqtt-packet";
import { setConstraint } from "../foreign-constraint.ts";
import type { GatewayProcess } from "../gateway-process.ts";
import { publishPacket, RawMqtt } from "../raw-mqtt.ts";
import { exampleMessages, exampleSchemas } from "./example-messages.ts";

const manyTopics = 200;
const rateTopic = "paced";

/**
 * Attacks that once stopped others, each against one topic, table or client. `run` may be called several
 * times, and waits for answers.
 */
export interface ExampleAttack {
  readonly name: string;
  /** Runs before the measurement. */
  readonly prepare?: (gateway: GatewayProcess) => Promise<void>;
  readonly run: (gateway: GatewayProcess, turn: number) => Promise<void>;
}

async function createTopic(gateway: GatewayProcess, name: string, definition: object = {}): Promise<void> {
  const body = { name, filter: `${name}/{device}`, format: "json", ...definition };
  const answer = await gateway.api("POST", "/v1/topics", body);
  if (answer.status >= 300) throw new Error(`${name}: ${JSON.stringify(answer.body)}`);
}

/** Publishes with QoS 1 and waits for each acknowledgement. */
async function publishAll(
  client: RawMqtt,
  messages: readonly (readonly [topic: string, payload: string | Buffer])[],
): Promise<void> {
  client.packets.length = 0;
  for (const [index, [topic, payload]] of messages.entries())
    client.send(publishPacket(topic, payload as string, { messageId: (index % 65_535) + 1 }));
  await client.until(() => client.isClosed || client.packets.length >= messages.length);
  if (client.isClosed) throw new Error(`cut while publishing on ${messages[0]?.[0]}`);
}

async function withClient(
  gateway: GatewayProcess,
  clientId: string,
  use: (client: RawMqtt) => Promise<void>,
): Promise<void> {
  const client = await RawMqtt.connected(gateway.mqttPort, { clientId });
  try {
    await use(client);
  } finally {
    client.end();
  }
}

const messages: ExampleAttack = {
  name: "messages",
  async prepare(gateway) {
    for (const { name, format = "json", schema, paths } of exampleMessages)
      await createTopic(gateway, `example_${name}`, { format, ...(schema && { schema }), ...paths });
  },
  async run(gateway, turn) {
    await withClient(gateway, "messages", async (client) => {
      for (const { name, payloads } of exampleMessages) {
        const sent = payloads(`t${turn}`, Date.now());
        await publishAll(
          client,
          sent.map((payload) => [`example_${name}/d`, payload]),
        );
      }
    });
  },
};

const schemas: ExampleAttack = {
  name: "schemas",
  async run(gateway, turn) {
    for (const [index, schema] of exampleSchemas.entries()) {
      const name = `schema_${turn}_${index}`;
      const response = await fetch(`${gateway.httpUrl}/v1/topics`, {
        method: "POST",
        headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
        body: `{"name":"${name}","filter":"${name}/{device}","format":"json","schema":${schema}}`,
      });
      await response.arrayBuffer();
      if (response.status >= 500) throw new Error(`${schema.slice(0, 100)}: ${response.status}`);
    }
  },
};

const filters: ExampleAttack = {
  name: "filters",
  async run(gateway) {
    for (const clean of [false, true])
      await withClient(gateway, "subscriber", async (client) => {
        const subscriptions = Array.from({ length: 3_000 }, (_, index) => ({
          topic: `cmd/own/${index}`,
          qos: 1,
        }));
        client.send({ cmd: "subscribe", messageId: 1, subscriptions, clean } as unknown as Packet);
        await client.until(() => client.of("suback").length > 0);
      });
  },
};

const wrongPasswords: ExampleAttack = {
  name: "wrong passwords",
  async run(gateway) {
    const strangers = Array.from({ length: 100 }, async () => {
      const client = await RawMqtt.open(gateway.mqttPort);
      client.connect({ clientId: "stranger", username: "stranger", password: Buffer.from("wrong") });
      await new Promise((resolve) => setImmediate(resolve));
      client.end();
    });
    await Promise.all(strangers);
  },
};

const constraint: ExampleAttack = {
  name: "constraint",
  async prepare(gateway) {
    await createTopic(gateway, "constrained");
    await this.run(gateway, -1);
    await gateway.until(
      "there is a table",
      async () => (await gateway.query("SELECT * FROM constrained")).length > 0,
    );
  },
  async run(gateway, turn) {
    const payload = JSON.stringify({ id: `c${turn}`, ts: Date.now() });
    const folder = join(gateway.dataFolder, "lake", "constrained");
    if (turn >= 0) setConstraint(folder, turn % 2 === 0 ? "_index >= 0" : null);
    await withClient(gateway, "constrained", (client) => publishAll(client, [["constrained/d", payload]]));
  },
};

const topics: ExampleAttack = {
  name: "topics of one message",
  async prepare(gateway) {
    for (let index = 0; index < manyTopics; index++) await createTopic(gateway, `many_${index}`);
  },
  async run(gateway, turn) {
    const payload = JSON.stringify({ id: `m${turn}`, ts: Date.now() });
    const sent = Array.from({ length: manyTopics }, (_, index) => [`many_${index}/d`, payload] as const);
    await withClient(gateway, "many", (client) => publishAll(client, sent));
  },
};

/** Clients that come and go: sequences of packets that once lost a message, or affected other clients. */
const sequences: ExampleAttack = {
  name: "sequences",
  async prepare(gateway) {
    await createTopic(gateway, rateTopic, { messagesPerSecond: 5 });
  },
  async run(gateway, turn) {
    const now = Date.now();
    const payload = (id: string) => JSON.stringify({ id: `${id}-${turn}`, ts: now });
    for (const id of ["m1", "m2"]) {
      const device = await RawMqtt.connected(gateway.mqttPort, { clientId: "qos2", clean: false });
      device.publish("fleet/qos2/telemetry", payload(id), { qos: 2, messageId: 1 });
      await device.until(() => device.of("pubrec").length > 0);
      device.end();
    }
    for (let index = 0; index < 20; index++) await comeAndGo(gateway, `sleepy${index}`, payload("s"));
    await withClient(gateway, "big", (client) =>
      publishAll(client, [["fleet/big/telemetry", payload("b").padEnd(100_000)]]),
    );
    for (let index = 0; index < 10; index++)
      await withClient(gateway, "lost", async (client) => {
        client.publish("unknown/x", payload("u"));
        client.publish("fleet/lost/telemetry", payload("l"), { messageId: 2 });
        await client.closed();
      });
    const device = await RawMqtt.connected(gateway.mqttPort, { clientId: "fast" });
    for (let index = 1; index <= 40; index++)
      device.publish(`${rateTopic}/d`, payload(`r${index}`), { messageId: index });
    await device.until(() => device.isClosed || device.acknowledgedIds().length > 4);
    device.end();
  },
};

async function comeAndGo(gateway: GatewayProcess, clientId: string, payload: string): Promise<void> {
  const connect = {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    keepalive: 60,
    clientId,
  };
  const client = await RawMqtt.open(gateway.mqttPort);
  const packets = [
    connect as Packet,
    publishPacket(`fleet/${clientId}/telemetry`, payload),
    { cmd: "disconnect" } as Packet,
  ];
  client.socket.end(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet))));
  await client.closed();
}

export const exampleAttacks: readonly ExampleAttack[] = [
  messages,
  schemas,
  filters,
  wrongPasswords,
  constraint,
  sequences,
  topics,
];

/** Its commit writes a file and a table entry for each topic; rows of others wait for that. */
export const costlyCommits = topics.name;
