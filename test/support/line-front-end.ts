import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { IngestClient, IngestCore, IngestSession, Refusal, Refuse } from "../../broker/ingest/index.ts";

const lineMaxChars = 4_096;
/** Answers that the client has not read. */
const unansweredMaxBytes = 65_536;

/** Refusals that the core can't see and count. */
const lineRefusals = {
  "line-too-long": {
    meaning: "A line is longer than 4,096 characters.",
    retryable: false,
    remedy: "Send shorter lines.",
  },
  "line-malformed": {
    meaning: "A line is neither hello nor publish.",
    retryable: false,
    remedy: "Mend the client.",
  },
  "slow-reader": {
    meaning: "The client does not read its answers.",
    retryable: true,
    remedy: "Let the client read faster.",
  },
};
type LineRefusalCode = keyof typeof lineRefusals;

interface LineOptions {
  readonly ingest: IngestCore;
  readonly limits: {
    readonly inFlightMax: number;
    readonly inFlightMaxBytes: number;
    readonly holdMaxMs: number;
  };
  readonly stopTimeoutMs: number;
}

/**
 * Telemetry as lines of text over TCP, on a loopback address. `hello CLIENT [NAME SECRET]` comes first, then
 * `publish NUMBER TOPIC PAYLOAD`. Each gets one answer: `ok hello`, `ok NUMBER` once the message is durable,
 * or `no … CODE later` (`never` instead of `later` if the same message will be refused again).
 */
export class LineFrontEnd {
  readonly #options: LineOptions;
  readonly #server: Server;
  readonly #connections = new Set<LineConnection>();

  constructor(options: LineOptions) {
    this.#options = options;
    const refuse = options.ingest.declareRefusals(lineRefusals);
    this.#server = createServer((socket) => {
      const connection = new LineConnection(socket, options, refuse);
      this.#connections.add(connection);
      socket.once("close", () => this.#connections.delete(connection));
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  /** Reads no more messages, acknowledges those that become durable in time, then ends all connections. */
  async stop(): Promise<void> {
    this.#server.close();
    for (const connection of this.#connections) connection.stopReading();
    await this.#options.ingest.drain(this.#options.stopTimeoutMs);
    for (const connection of this.#connections) connection.end();
  }
}

/** Messages have the numbers that the client gave them. */
class LineConnection implements IngestClient<string> {
  readonly #socket: Socket;
  readonly #options: LineOptions;
  readonly #refuse: Refuse<LineRefusalCode>;
  #session: IngestSession<string> | null = null;
  #unread = "";
  #isReading = true;
  #answers = "";
  #acknowledged = 0;

  constructor(socket: Socket, options: LineOptions, refuse: Refuse<LineRefusalCode>) {
    this.#socket = socket;
    this.#options = options;
    this.#refuse = refuse;
    socket.setEncoding("utf8").on("data", (text: string) => this.#read(text));
    socket.on("error", () => {});
    socket.once("close", () => this.end());
  }

  get hasLeft(): boolean {
    return this.#socket.destroyed;
  }

  settled(number: string, refusal: Refusal | null): void {
    if (refusal) {
      this.#sayNo(number, refusal);
      return;
    }
    this.#answers += `ok ${number}\n`;
    this.#acknowledged += 1;
  }

  revoked(): void {
    this.end();
  }

  /** All answers of a turn leave in one write. */
  turnEnded(): void {
    this.#socket.write(this.#answers);
    this.#session?.acknowledged(this.#acknowledged);
    this.#answers = "";
    this.#acknowledged = 0;
  }

  stopReading(): void {
    this.#isReading = false;
    this.#socket.pause();
  }

  end(): void {
    this.stopReading();
    this.#session?.end();
    this.#socket.destroySoon();
  }

  #read(text: string): void {
    this.#unread += text;
    while (this.#isReading) {
      const end = this.#unread.indexOf("\n");
      const isTooLong = (end < 0 ? this.#unread.length : end) > lineMaxChars;
      if (isTooLong) this.#close("line-too-long");
      if (isTooLong || end < 0) return;
      const words = this.#unread.slice(0, end).split(" ");
      this.#unread = this.#unread.slice(end + 1);
      this.#take(words);
      if (this.#socket.writableLength > unansweredMaxBytes) this.#close("slow-reader");
    }
  }

  #take([verb, ...words]: string[]): void {
    if (verb === "hello" && this.#session === null) void this.#hello(words);
    else if (verb === "publish" && this.#session !== null) this.#publish(words, this.#session);
    else this.#close("line-malformed");
  }

  async #hello([clientId = "", name, secret]: string[]): Promise<void> {
    const { ingest, limits } = this.#options;
    const address = this.#socket.remoteAddress ?? "";
    const noRoom = ingest.admit({ client: clientId, address });
    if (noRoom) return this.#sayNo("hello", noRoom);
    const credentials = { name, secret: secret ? Buffer.from(secret) : undefined, mayBeAnonymous: true };
    const hasLeft = () => this.#socket.destroyed;
    // Later lines are read once the identity is known.
    this.stopReading();
    const entry = await ingest.open({ credentials, clientId, address, limits, hasLeft }, (session) => {
      this.#session = session;
      return this;
    });
    if ("refusal" in entry) return this.#sayNo("hello", entry.refusal);
    this.#socket.write("ok hello\n");
    this.#isReading = true;
    this.#socket.resume();
    this.#read("");
  }

  #publish([number = "", topic = "", ...rest]: string[], session: IngestSession<string>): void {
    session.publish({ topic, payload: Buffer.from(rest.join(" ")), qos: 1 }, number);
  }

  #sayNo(what: string, { code, retryable }: Refusal): void {
    this.#socket.write(`no ${what} ${code} ${retryable ? "later" : "never"}\n`);
    if (what === "hello") this.end();
  }

  #close(code: LineRefusalCode): void {
    const who = { client: this.#session?.who.client ?? "", address: this.#socket.remoteAddress ?? "" };
    this.#refuse(code, who);
    this.end();
  }
}
