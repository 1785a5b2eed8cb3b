import { createServer, type Server, type Socket } from "node:net";
import { Aedes, type AedesPublishPacket } from "aedes";

export interface ReceivedPublish {
  readonly topic: string;
  readonly payload: Buffer;
  readonly dup: boolean;
  readonly connection: number;
}

/**
 * `accept`: keep and acknowledge. `hold`: keep, never acknowledge. `lose`: neither. `close`: end the
 * connection, as for a refusal.
 */
export type Verdict = "accept" | "hold" | "lose" | "close";

/** A real Aedes on a port of its own, whose answers to publishes a test decides. */
export class TestBroker {
  /** What was kept, in order of arrival. */
  readonly kept: ReceivedPublish[] = [];
  judge: (publish: ReceivedPublish) => Verdict = () => "accept";
  /** Accepted MQTT connections so far. */
  connections = 0;
  #aedes: Aedes | null = null;
  #server: Server | null = null;
  #port = 0;
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Set<() => void>();

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  /** Listens; after `stop` again on the same port. */
  async start(options: { credentials?: { username: string; password: string } } = {}): Promise<this> {
    const aedes = await Aedes.createBroker();
    aedes.authenticate = (_client, username, password, done) => {
      const { credentials } = options;
      const isRight = username === credentials?.username && String(password) === credentials?.password;
      if (!credentials || isRight) return done(null, true);
      done(Object.assign(new Error("no"), { returnCode: 4 as const }), false);
    };
    aedes.authorizePublish = (_client, packet, done) => this.#onPublish(packet, done);
    aedes.on("clientReady", () => {
      this.connections += 1;
      this.#changed();
    });
    aedes.on("clientError", () => undefined);
    aedes.on("connectionError", () => undefined);
    const server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => undefined);
      aedes.handle(socket);
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (typeof address === "object" && address) this.#port = address.port;
    this.#aedes = aedes;
    this.#server = server;
    return this;
  }

  /** Ends everything at once, as if the process was killed. */
  async stop(): Promise<void> {
    const [aedes, server] = [this.#aedes, this.#server];
    this.#aedes = null;
    this.#server = null;
    const closed = new Promise<void>((resolve) => {
      if (server) server.close(() => resolve());
      else resolve();
    });
    this.cutConnections();
    await closed;
    await new Promise<void>((resolve) => {
      if (aedes) aedes.close(() => resolve());
      else resolve();
    });
  }

  refuseSubscriptions(): void {
    if (this.#aedes) this.#aedes.authorizeSubscribe = (_client, _subscription, done) => done(null, null);
  }

  cutConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Sends a message to subscribers. */
  async send(topic: string, payload: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const packet = { cmd: "publish", topic, payload, qos: 1, retain: false, dup: false } as const;
      this.#aedes?.publish(packet as AedesPublishPacket & typeof packet, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  /** Resolves when the condition holds, which is checked after each publish and connect. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition())
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
  }

  #onPublish(
    packet: { topic: string; payload: string | Buffer; dup: boolean },
    done: (error?: Error | null) => void,
  ): void {
    const publish: ReceivedPublish = {
      topic: packet.topic,
      payload: Buffer.from(packet.payload),
      dup: packet.dup,
      connection: this.connections,
    };
    const verdict = this.judge(publish);
    if (verdict === "accept" || verdict === "hold") this.kept.push(publish);
    if (verdict === "accept") done();
    if (verdict === "close") done(new Error("refused"));
    this.#changed();
  }

  #changed(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}
