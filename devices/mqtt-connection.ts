// The only module that knows mqtt.js. Each network connection gets a new client object, which is discarded
// with the connection. So nothing that mqtt.js keeps for a reconnect (stores, queue, resubscriptions)
// outlives the connection.
import { connect, type IClientOptions, type MqttClient, Store } from "mqtt";
import { DeviceError } from "./errors.ts";

export interface ConnectionOptions {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`. */
  readonly url: string;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string | Uint8Array;
  readonly keepaliveSeconds: number;
  /** For TCP, TLS, CONNECT and CONNACK together. */
  readonly connectTimeoutMs: number;
  readonly isSessionPersistent: boolean;
  readonly tls?: TlsOptions;
}

/** As in node:tls. */
export interface TlsOptions {
  readonly ca?: string | Buffer | (string | Buffer)[];
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface ConnectionEnd {
  /** CONNECT_REFUSED (details: returnCode), CONNECTION_LOST, or the reason given to `destroy`. */
  readonly error: DeviceError;
  /** CONNACK had accepted the connection. */
  readonly wasConnected: boolean;
  /**
   * The other side closed the connection, as a broker does. False for our own close, a network failure and a
   * missing answer to a ping.
   */
  readonly byPeer: boolean;
}

export interface ReceivedMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
}

/** Told synchronously; must not throw. */
export interface ConnectionObserver {
  connected(sessionPresent: boolean): void;
  /** Called once, as the last event. */
  ended(end: ConnectionEnd): void;
  received(message: ReceivedMessage): void;
}

const endTimeoutMs = 1_000;

/** How a broker's close shows if the broker had not read everything. */
const peerCloseCodes: readonly (string | number | undefined)[] = ["ECONNRESET", "EPIPE"];

/** One MQTT 3.1.1 connection, from TCP connect to close. */
export class MqttConnection {
  readonly #client: MqttClient;
  readonly #observer: ConnectionObserver;
  #wasConnected = false;
  #hasEnded = false;
  #unacknowledged = 0;
  #cause: Error | null = null;
  #reason: DeviceError | null = null;

  constructor(options: ConnectionOptions, observer: ConnectionObserver) {
    this.#observer = observer;
    this.#client = connect(options.url, clientOptions(options));
    this.#client.on("connect", ({ sessionPresent }) => {
      this.#wasConnected = true;
      observer.connected(sessionPresent);
    });
    this.#client.on("message", (topic, payload, { qos, retain }) => {
      if (!this.#hasEnded) observer.received({ topic, payload, qos, retain });
    });
    this.#client.on("error", (error) => this.#onError(error));
    this.#client.on("close", () => this.#onClose());
  }

  /** Sends a QoS 1 PUBLISH. `acknowledged` is called upon its PUBACK, never after `ended`. */
  publish(
    message: { topic: string; payload: Uint8Array; isResend: boolean },
    acknowledged: () => void,
  ): void {
    const { buffer, byteOffset, byteLength } = message.payload;
    const payload = Buffer.from(buffer, byteOffset, byteLength);
    this.#unacknowledged += 1;
    this.#client.publish(message.topic, payload, { qos: 1, dup: message.isResend }, (error) => {
      if (this.#hasEnded || error) return;
      this.#unacknowledged -= 1;
      acknowledged();
    });
  }

  /** `done` is called upon SUBACK, with SUBSCRIBE_REFUSED if the broker refused; never after `ended`. */
  subscribe(filter: string, qos: 0 | 1, done: (error: DeviceError | null) => void): void {
    this.#client.subscribe(filter, { qos }, (error, granted) => {
      if (this.#hasEnded) return;
      const isRefused = error !== null || granted?.some((grant) => grant.qos === 128);
      done(isRefused ? subscribeRefused(filter, error) : null);
    });
  }

  unsubscribe(filter: string): void {
    this.#client.unsubscribe(filter);
  }

  /**
   * Sends DISCONNECT and closes. Closes without DISCONNECT if acknowledgements are missing or the socket does
   * not accept it.
   */
  end(reason: DeviceError): void {
    if (this.#unacknowledged > 0 || !this.#client.connected) {
      this.destroy(reason);
      return;
    }
    this.#reason ??= reason;
    this.#client.end(false);
    setTimeout(() => this.destroy(reason), endTimeoutMs).unref();
  }

  destroy(reason: DeviceError): void {
    if (this.#hasEnded) return;
    this.#reason ??= reason;
    this.#client.stream.destroy();
  }

  /**
   * mqtt.js reports stream errors, after which the connection closes, and protocol errors, after which
   * mqtt.js would continue.
   */
  #onError(error: Error): void {
    this.#cause ??= error;
    if (this.#wasConnected) this.#client.stream.destroy();
  }

  #onClose(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { code } = (this.#cause ?? {}) as { code?: string | number };
    this.#observer.ended({
      error: this.#reason ?? this.#endError(code),
      wasConnected: this.#wasConnected,
      byPeer:
        this.#wasConnected &&
        this.#reason === null &&
        (this.#cause === null || peerCloseCodes.includes(code)),
    });
  }

  #endError(code: string | number | undefined): DeviceError {
    // mqtt.js gives the CONNACK return code (MQTT 3.1.1 §3.2.2.3) as the error's code.
    if (typeof code === "number" && !this.#wasConnected) return connectRefused(code, this.#cause);
    return connectionLost(this.#cause);
  }
}

function clientOptions(options: ConnectionOptions): IClientOptions {
  const { username, password, tls } = options;
  const client: IClientOptions = {
    clientId: options.clientId,
    clean: !options.isSessionPersistent,
    keepalive: options.keepaliveSeconds,
    connectTimeout: options.connectTimeoutMs,
    protocolVersion: 4,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    outgoingStore: new ForgetfulStore(),
  };
  if (username !== undefined) client.username = username;
  if (password !== undefined) client.password = Buffer.from(password);
  return Object.assign(client, tls);
}

/** mqtt.js would keep a copy of each message here; the outbox has one already. */
class ForgetfulStore extends Store {
  override put(_packet: unknown, done: () => void): this {
    done();
    return this;
  }

  override del(_packet: unknown, done: () => void): this {
    done();
    return this;
  }
}

const returnCodeTexts: Readonly<Record<number, string>> = {
  1: "it does not speak MQTT 3.1.1",
  2: "the broker does not accept the client identifier",
  3: "it is not available",
  4: "user name or password are wrong",
  5: "the client is not authorized",
};

function connectRefused(returnCode: number, cause: Error | null): DeviceError {
  const text = returnCodeTexts[returnCode] ?? `return code ${returnCode}`;
  return new DeviceError("CONNECT_REFUSED", `the broker refused the connection: ${text}`, {
    retryable: true,
    cause: cause ?? undefined,
    details: { returnCode },
  });
}

export function connectionLost(cause: Error | null): DeviceError {
  // If a host name has several addresses, node reports an AggregateError without a message.
  const reason = cause?.message || (cause as NodeJS.ErrnoException | null)?.code || cause?.name;
  const text = cause ? `the connection failed: ${reason}` : "the broker closed the connection";
  return new DeviceError("CONNECTION_LOST", text, { retryable: true, cause: cause ?? undefined });
}

function subscribeRefused(filter: string, cause: Error | null): DeviceError {
  return new DeviceError("SUBSCRIBE_REFUSED", `the broker refused the subscription to ${filter}`, {
    retryable: false,
    cause: cause ?? undefined,
    details: { filter },
  });
}
