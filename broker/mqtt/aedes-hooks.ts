import type { Aedes, AedesOptions, AuthenticateError } from "aedes";
import type { IngestCore, IngestSession, Newcomer, RefusalFields } from "../ingest/index.ts";
import {
  type AedesClient,
  answeredEvent,
  type ConnectPacket,
  hasLeft,
  judgedEvent,
  type PublishPacket,
  refusedClientOf,
} from "./aedes/aedes-client.ts";
import { GrantedFilters, type KeptFilters } from "./aedes/granted-filters.ts";
import { filtersPerTurn, PacedWork } from "./aedes/paced-work.ts";
import { type AskedSubscription, sessionMarker } from "./aedes/session-subscriptions.ts";
import { connectFault, noRoom } from "./connect-checks.ts";
import { endWith } from "./connection.ts";
import type { MqttRefusalCode } from "./mqtt-refusals.ts";
import type { ReceivedIdsOfSessions } from "./received-ids.ts";
import { type MessageTag, Session, type SessionContext } from "./session.ts";

interface HookParts {
  readonly ingest: IngestCore;
  readonly receivedIds: ReceivedIdsOfSessions;
  readonly kept: KeptFilters;
}

type Handlers = Required<
  Pick<
    AedesOptions,
    "preConnect" | "authenticate" | "authorizePublish" | "authorizeSubscribe" | "authorizeForward"
  >
>;

/** [MQTT-3.2.2] CONNACK return codes. */
const returnCodes = { identifierRejected: 2, serverUnavailable: 3, notAuthorized: 5 } as const;

/** The questions that Aedes asks: who may connect, publish, subscribe and receive. */
export class AedesHooks {
  readonly #context: SessionContext;
  readonly #parts: HookParts;
  /** Aedes asks about a client's will some time after its connection has ended. */
  readonly #sessions = new WeakMap<AedesClient, Session>();
  /** Of connections that have not ended. */
  readonly #open = new Set<Session>();
  readonly #filters: GrantedFilters;
  #granted: AskedSubscription = { topic: "" };
  readonly #grants = new PacedWork(filtersPerTurn);

  constructor(context: SessionContext, parts: HookParts) {
    this.#context = context;
    this.#parts = parts;
    this.#filters = new GrantedFilters(context.config, parts.kept);
  }

  sessionOf(client: AedesClient): Session | undefined {
    return this.#sessions.get(client);
  }

  handlers(): Handlers {
    return {
      preConnect: (client, packet, done) =>
        this.#preConnect(client as unknown as AedesClient, packet as unknown as ConnectPacket, done),
      authenticate: (client, name, secret, done) => {
        void this.#authenticate(client as unknown as AedesClient, { name, secret }, done);
      },
      authorizePublish: (client, packet, done) =>
        this.#authorizePublish(client as unknown as AedesClient | null, packet as PublishPacket, done),
      authorizeSubscribe: (client, subscription, done) => {
        if (subscription === sessionMarker) {
          done(null, null);
          return;
        }
        this.#grants.add(() => {
          // The client has left and waits for no answer, so its packet changes nothing.
          if ((client as unknown as AedesClient).closed) return;
          const isGranted = this.#grant(client as unknown as AedesClient, subscription);
          done(null, isGranted ? subscription : null);
        });
      },
      authorizeForward: (client, packet) =>
        this.#mayForward(client as unknown as AedesClient, packet.topic) ? packet : null,
    };
  }

  watch(aedes: Aedes): void {
    aedes.on("subscribe", (_, client) => client.emit(answeredEvent));
    aedes.on("unsubscribe", (filters, client) => {
      this.#filters.remove(client as unknown as AedesClient, filters);
      client.emit(answeredEvent);
    });
    // Connections end in many ways. Ends that the broker caused are counted there; the rest is the network's.
    aedes.on("clientError", (client, error) => {
      const session = this.#sessions.get(client as unknown as AedesClient);
      if (isDrainTimeout(error))
        session?.refuse("slow-subscriber", {
          bound: "drainTimeoutMs",
          limit: this.#context.config.drainTimeoutMs,
          unreadBytes: session.unreadBytes,
        });
    });
    aedes.on("connectionError", (stranger, error) => {
      const client = stranger as unknown as AedesClient;
      if (isConnectTimeout(error))
        this.#refuse("connect-timeout", client, { limit: this.#context.config.connectTimeoutMs });
    });
  }

  /** The subscription that was granted last. */
  get granted(): AskedSubscription {
    return this.#granted;
  }

  stopReading(): void {
    for (const session of this.#open) session.stopReading();
  }

  #preConnect(
    client: AedesClient,
    packet: ConnectPacket,
    done: (error: Error | null, isAllowed: boolean) => void,
  ): void {
    const who = { client: packet.clientId, address: refusedClientOf(client).address };
    const fault = connectFault(packet, this.#context.config);
    if (fault) this.#context.refuse(fault.code, who, fault.fields);
    const answer = fault ?? (this.#parts.ingest.admit(who) && noRoom);
    if (!answer) {
      // The text lives as long as the connection; a view would keep its whole read chunk.
      if (packet.will) packet.will.payload = Buffer.from(packet.will.payload);
      done(null, true);
      return;
    }
    client.emit(judgedEvent);
    endWith(client.conn, answer.connack, () => done(new Error(answer.code), false));
  }

  async #authenticate(
    client: AedesClient,
    credentials: { name: string | undefined; secret: Buffer | undefined },
    done: (error: AuthenticateError | null, isAllowed: boolean | null) => void,
  ): Promise<void> {
    const newcomer = this.#newcomer(client, credentials);
    const entry = await this.#parts.ingest.open(newcomer, (session) => this.#begin(client, session));
    client.emit(judgedEvent);
    if (client.closed) return;
    if ("session" in entry) {
      done(null, true);
      return;
    }
    const { code } = entry.refusal;
    const error = Object.assign(new Error(code), { returnCode: connackCode(code) });
    done(error as unknown as AuthenticateError, null);
  }

  #newcomer(
    client: AedesClient,
    { name, secret }: { name: string | undefined; secret: Buffer | undefined },
  ): Newcomer {
    const { config } = this.#context;
    return {
      credentials: { name, secret, mayBeAnonymous: config.anonymous },
      clientId: client.id ?? "",
      address: refusedClientOf(client).address,
      limits: config,
      hasLeft: () => hasLeft(client),
    };
  }

  /** Also for a client that has left meanwhile: its earlier packets are handled. */
  #begin(client: AedesClient, ingest: IngestSession<MessageTag>): Session {
    const receivedIds = this.#parts.receivedIds.open(client.id ?? "", client.clean);
    const session = new Session(this.#context, client, { ingest, receivedIds });
    this.#sessions.set(client, session);
    if (client.closed) return session;
    this.#open.add(session);
    client.conn.once("close", () => {
      this.#open.delete(session);
      this.#filters.end(client);
      session.end();
    });
    return session;
  }

  #grant(client: AedesClient, subscription: AskedSubscription): boolean {
    const filter = subscription.topic;
    const session = this.#sessions.get(client);
    const excess = this.#filters.excess(client, filter);
    if (excess) this.#refuse("subscription-limit", client, { filter, ...excess });
    else if (!session || !this.#parts.ingest.rules.maySubscribe(session.identity, filter))
      this.#refuse("subscription", client, { filter });
    else {
      this.#filters.add(client, filter);
      this.#granted = subscription;
      return true;
    }
    return false;
  }

  /** Wills come here, and publishes on plain filters, which were judged when they were read. */
  #authorizePublish(
    client: AedesClient | null,
    packet: PublishPacket,
    done: (error?: Error | null) => void,
  ): void {
    const session = client && this.#sessions.get(client);
    if (!session) {
      const who = client ? refusedClientOf(client) : { client: "", address: "" };
      this.#context.refuse("not-authorized", who, { topic: packet.topic, will: true });
      done(new Error("not-authorized"));
      return;
    }
    const kind = session.takeWill(packet, (error) => done(error ?? null));
    if (kind === "plain") done(null);
    if (kind === "refused") done(new Error("refused"));
  }

  /** Only a subscriber that does not read is disconnected: its waiting messages use memory that all share. */
  #mayForward(client: AedesClient, topicName: string): boolean {
    const session = this.#sessions.get(client);
    if (!session || !this.#parts.ingest.rules.mayReceive(session.identity, topicName)) return false;
    if (session.unreadBytes > this.#context.config.subscriberMaxBytes)
      session.refuse("slow-subscriber", {
        bound: "subscriberMaxBytes",
        limit: this.#context.config.subscriberMaxBytes,
        actual: session.unreadBytes,
      });
    // Also for a disconnected subscriber: no more bytes are written, and a persistent session keeps the
    // message.
    return true;
  }

  #refuse(code: MqttRefusalCode, client: AedesClient, fields: RefusalFields): void {
    this.#context.refuse(code, refusedClientOf(client), fields);
  }
}

// Aedes' errors have no code.
const isDrainTimeout = (error: Error) => error.message === "drain timeout";
const isConnectTimeout = (error: Error) => error.message === "connect did not arrive in time";

function connackCode(code: MqttRefusalCode): number {
  if (code === "client-id-foreign") return returnCodes.identifierRejected;
  return code === "authentication-busy" ? returnCodes.serverUnavailable : returnCodes.notAuthorized;
}
