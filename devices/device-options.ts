import { DeviceError } from "./errors.ts";
import type { MessageFormat } from "./message-format.ts";
import type { ConnectionOptions, TlsOptions } from "./mqtt-connection.ts";
import { outboxMinBytes, type WhenFull } from "./outbox/outbox.ts";
import type { BackoffLimits } from "./protocol/backoff.ts";
import { sequenceSpan } from "./protocol/message-id.ts";
import type { SendLimits } from "./send-window.ts";

export interface DeviceClientOptions {
  /** `mqtt://host:1883`, `mqtts://host:8883`, `ws://…` or `wss://…`. */
  readonly url: string;
  /** MQTT client identifier; for a device identity its name, for an edge identity `<name>/<suffix>`. */
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string | Uint8Array;
  readonly tls?: TlsOptions;
  readonly outbox: {
    /** A folder of its own, on a disk that keeps flushed data; one process at a time. */
    readonly folder: string;
    /** Default 64 MiB, at least 64 KiB. */
    readonly maxBytes?: number;
    /** Default `reject`: publish rejects with OUTBOX_FULL. */
    readonly whenFull?: WhenFull;
  };
  /** Format of the topics that the client publishes to; default `envelope`. */
  readonly format?: "envelope" | "json";
  /** For format `json`: the fields for id and event time; default `id` and `ts`. */
  readonly json?: { readonly idField?: string; readonly timeField?: string };
  /** Default 60; 0 = no keep alive. */
  readonly keepaliveSeconds?: number;
  /** Default 30,000. */
  readonly connectTimeoutMs?: number;
  /**
   * A message that waits this long for its acknowledgement ends the connection and is sent again on the next
   * one. Default 60,000.
   */
  readonly ackTimeoutMs?: number;
  /** Unacknowledged messages at a time, default 128. */
  readonly inFlightMax?: number;
  /** Their payload bytes, default 1 MiB. */
  readonly inFlightMaxBytes?: number;
  /**
   * No message is sent whose sequence is this far or further above that of the oldest unacknowledged one.
   * Default and maximum: sequenceSpan (256), on which topics with exact deduplication rely.
   */
  readonly maxAheadMessages?: number;
  /** Reconnects wait between 0 and min(maxMs, baseMs × 2^failures). Default 1,000 and 60,000. */
  readonly reconnect?: Partial<BackoffLimits>;
  /** Lets the broker keep QoS 1 commands while the device is away (clean session 0). Default false. */
  readonly persistentSession?: boolean;
  /** ms since the epoch; default Date.now. */
  readonly now?: () => number;
  /** Uniform in [0, 1); default Math.random. */
  readonly random?: () => number;
}

/** The options with every default filled in. */
export interface DeviceSettings {
  readonly connection: ConnectionOptions;
  readonly outbox: { readonly folder: string; readonly maxBytes: number; readonly whenFull: WhenFull };
  readonly format: MessageFormat;
  readonly ackTimeoutMs: number;
  readonly send: SendLimits;
  readonly reconnect: BackoffLimits;
  readonly now: () => number;
  readonly random: () => number;
}

/** A head message whose connection was closed this often in a row goes to the rejected store. */
const refusalsMax = 5;
const refusalMaxMs = 5_000;
const keepaliveMaxSeconds = 65_535;
const timerMaxMs = 2 ** 31 - 1;

/** Throws OPTIONS_INVALID with all faults at once. */
export function resolveSettings(options: DeviceClientOptions): DeviceSettings {
  const faults = new Faults();
  const keepaliveSeconds = faults.whole("keepaliveSeconds", options.keepaliveSeconds ?? 60, [
    0,
    keepaliveMaxSeconds,
  ]);
  const inFlightMax = faults.whole("inFlightMax", options.inFlightMax ?? 128, [1, 65_535]);
  const settings: DeviceSettings = {
    connection: connectionSettings(options, keepaliveSeconds, faults),
    outbox: {
      folder: options.outbox.folder,
      maxBytes: faults.whole("outbox.maxBytes", options.outbox.maxBytes ?? 67_108_864, [
        outboxMinBytes,
        2 ** 50,
      ]),
      whenFull: options.outbox.whenFull ?? "reject",
    },
    format: formatSettings(options, faults),
    ackTimeoutMs: faults.whole("ackTimeoutMs", options.ackTimeoutMs ?? 60_000, [1, timerMaxMs]),
    send: {
      inFlightMax,
      inFlightMaxBytes: faults.whole("inFlightMaxBytes", options.inFlightMaxBytes ?? 1_048_576, [1, 2 ** 32]),
      maxAheadMessages: faults.whole("maxAheadMessages", options.maxAheadMessages ?? sequenceSpan, [
        1,
        sequenceSpan,
      ]),
      refusalsMax,
      refusalMaxMs: keepaliveSeconds === 0 ? refusalMaxMs : Math.min(refusalMaxMs, keepaliveSeconds * 250),
    },
    reconnect: {
      baseMs: faults.whole("reconnect.baseMs", options.reconnect?.baseMs ?? 1_000, [1, timerMaxMs]),
      maxMs: faults.whole("reconnect.maxMs", options.reconnect?.maxMs ?? 60_000, [1, timerMaxMs]),
    },
    now: options.now ?? Date.now,
    random: options.random ?? Math.random,
  };
  faults.check("outbox.folder", settings.outbox.folder !== "", "is empty");
  const isPolicy = ["reject", "drop-oldest"].includes(settings.outbox.whenFull);
  faults.check("outbox.whenFull", isPolicy, "is neither reject nor drop-oldest");
  faults.throwAny();
  return settings;
}

function connectionSettings(
  options: DeviceClientOptions,
  keepaliveSeconds: number,
  faults: Faults,
): ConnectionOptions {
  const protocol = URL.canParse(options.url) ? new URL(options.url).protocol : "";
  const isKnown = ["mqtt:", "mqtts:", "ws:", "wss:"].includes(protocol);
  faults.check("url", isKnown, "is not mqtt://, mqtts://, ws:// or wss:// with a host");
  faults.check("clientId", options.clientId.length > 0, "is empty");
  const { username, password, tls } = options;
  // [MQTT-3.1.2-22] No password without a user name.
  faults.check("password", password === undefined || username !== undefined, "needs a username");
  return {
    url: options.url,
    clientId: options.clientId,
    keepaliveSeconds,
    connectTimeoutMs: faults.whole("connectTimeoutMs", options.connectTimeoutMs ?? 30_000, [1, timerMaxMs]),
    isSessionPersistent: options.persistentSession ?? false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
  };
}

function formatSettings(options: DeviceClientOptions, faults: Faults): MessageFormat {
  const kind = options.format ?? "envelope";
  faults.check("format", kind === "envelope" || kind === "json", "is neither envelope nor json");
  if (kind !== "json") return { kind: "envelope" };
  const { idField = "id", timeField = "ts" } = options.json ?? {};
  faults.check("json.idField", idField !== "" && idField !== timeField, "is empty or equals json.timeField");
  return { kind, idField, timeField };
}

class Faults {
  readonly #texts: string[] = [];

  check(name: string, isGood: boolean, fault: string): void {
    if (!isGood) this.#texts.push(`${name} ${fault}`);
  }

  whole(name: string, value: number, [min, max]: readonly [number, number]): number {
    const isGood = Number.isInteger(value) && value >= min && value <= max;
    this.check(name, isGood, `is ${value}, not a whole number from ${min} to ${max}`);
    return value;
  }

  throwAny(): void {
    if (this.#texts.length > 0)
      throw new DeviceError("OPTIONS_INVALID", this.#texts.join("; "), {
        retryable: false,
        details: { faults: this.#texts },
      });
  }
}
