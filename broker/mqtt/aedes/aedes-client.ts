import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { BrokerError } from "../../errors.ts";
import type { RefusedClient } from "../../ingest/index.ts";

/**
 * The version whose internals are used below; `test/contract/aedes-internals.test.ts` checks them in the
 * installed one.
 */
export const aedesVersion = "1.2.0";

/** A PUBLISH as mqtt-packet parses it. */
export interface PublishPacket {
  readonly cmd: "publish";
  readonly length?: number;
  readonly topic: string;
  payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly dup: boolean;
  retain: boolean;
  readonly messageId?: number;
}

export interface ConnectPacket {
  readonly cmd: "connect";
  readonly length?: number;
  readonly protocolId: string;
  readonly clientId: string;
  readonly protocolVersion: number;
  readonly clean: boolean;
  readonly keepalive: number;
  readonly username?: string;
  readonly password?: Buffer;
  readonly will?: Will;
}

export interface Will {
  readonly topic: string;
  payload: Buffer;
  readonly qos: 0 | 1 | 2;
  retain: boolean;
}

export interface SubscribePacket {
  readonly cmd: "subscribe";
  readonly length?: number;
  readonly messageId: number;
  readonly subscriptions: readonly { readonly topic: string; qos: number }[];
}

/** `length` = remaining length [MQTT-2.2.3]. */
export type MqttPacket =
  | PublishPacket
  | ConnectPacket
  | SubscribePacket
  | {
      readonly cmd: "unsubscribe";
      readonly length?: number;
      readonly messageId: number;
      readonly unsubscriptions: readonly string[];
    }
  | {
      readonly cmd: "puback" | "pubrec" | "pubrel" | "pubcomp";
      readonly length?: number;
      readonly messageId: number;
    }
  | { readonly cmd: "pingreq" | "disconnect" | "connack" | "suback" | "auth"; readonly length?: number };

type PacketListener = (packet: MqttPacket) => void;

/** mqtt-packet's parser, with the field that tells a packet's declared length before its body is there. */
export interface PacketParser extends EventEmitter {
  parse(chunk: Buffer): number;
  /**
   * The packet that is being parsed; `length` = remaining length [MQTT-2.2.3], -1 or undefined before it is
   * known.
   */
  readonly packet: { readonly cmd?: MqttPacket["cmd"]; readonly length?: number };
  /** During a packet event: how many of its bytes its fields took. A PUBLISH's payload is not counted. */
  readonly _pos: number;
  /** Bytes that are not parsed yet; during a packet event, the bytes after the packet. */
  readonly _list: { readonly length: number; slice(): Buffer; consume(bytes: number): void };
  /** The CONNECT packet, password included, which the parser keeps for its protocol version. */
  settings: object;
}

/** The part of Aedes 1.2.0's Client that is used here; most of it is private API. */
export interface AedesClient extends EventEmitter {
  readonly id: string | null;
  readonly clean: boolean;
  /** By topic filter; without a prototype. */
  readonly subscriptions: Readonly<Record<string, unknown>>;
  readonly closed: boolean;
  readonly connected: boolean;
  readonly conn: Socket;
  readonly _parser: PacketParser;
  readonly _keepaliveTimer: NodeJS.Timeout | null;
  /** Milliseconds, 1.5 × keep alive; negative if the client has none. */
  readonly _keepaliveInterval: number;
  _parsingBatch: number;
  /** Set from the authentication to the end. null before, and if the client has no will. */
  readonly will: object | null;
  /** Whether DISCONNECT came: then the will is not published [MQTT-3.14.4-3]. */
  _disconnected: boolean;
  readonly _paused?: boolean;
  pause(): void;
  resume(): void;
  close(done?: () => void): void;
}

/**
 * An event of a client in addition to those of Aedes: the answer to its CONNECT is known. Also emitted if the
 * client has left by then.
 */
export const judgedEvent = "judged";

/** Another event: the client's SUBSCRIBE or UNSUBSCRIBE has been answered. */
export const answeredEvent = "answered";

/** Throws AEDES_UNSUPPORTED if another version than the pinned one is installed. */
export function checkAedesVersion(aedes: object): void {
  const version = "version" in aedes ? String(aedes.version) : "unknown";
  if (version === aedesVersion) return;
  throw new BrokerError(
    "AEDES_UNSUPPORTED",
    `Aedes ${version} is installed; the acknowledgement path needs ${aedesVersion}: install with \`npm ci\``,
    { retryable: false },
  );
}

/**
 * Puts `take` in front of Aedes' own handling of each packet of a client. The returned function hands a
 * packet on to Aedes.
 *
 * `take` also receives packets that are parsed after the client was closed, which Aedes would drop. `broken`
 * is called for bytes that cannot be parsed, before Aedes closes the connection.
 */
export function interceptPackets(
  client: AedesClient,
  {
    take,
    broken,
  }: { take: (packet: MqttPacket, parsedBytes: number) => void; broken: (fault: Error) => void },
): PacketListener {
  const parser = client._parser;
  const [original] = parser.listeners("packet") as PacketListener[];
  if (!original) throw new TypeError("Aedes listens for packets from the start");
  const emit = parser.emit.bind(parser);
  parser.emit = (event: string | symbol, value: unknown) => {
    if (event !== "packet") return emit(event, value);
    take(value as MqttPacket, parser._pos);
    return true;
  };
  parser.prependListener("error", broken);
  return (packet) => original.call(parser, packet);
}

/**
 * Reports as soon as a packet's declared length is larger than allowed, before its body is buffered. Without
 * this check, Aedes and mqtt-packet buffer up to 256 MiB per connection, even before CONNECT.
 */
export function guardPacketSize(
  client: AedesClient,
  limitOf: (command: MqttPacket["cmd"] | undefined) => number,
  tooLarge: (bytes: number, limit: number) => void,
): void {
  const parser = client._parser;
  const parse = parser.parse;
  parser.parse = (chunk) => {
    const rest = parse.call(parser, chunk);
    const declared = parser.packet.length ?? -1;
    const limit = limitOf(parser.packet.cmd);
    if (declared > limit && !client.closed) tooLarge(declared, limit);
    return rest;
  };
}

/**
 * Call during a packet event of the parser. The unparsed bytes go back into the socket, and no byte is read
 * until the returned function is called. Node reads ahead up to the socket's high-water mark. Node reports an
 * orderly end only after all bytes before it were read.
 */
export function holdReading(client: AedesClient): () => void {
  const { conn, _parser } = client;
  const { resume } = client;
  client.pause();
  // Aedes resumes reading after writing CONNACK, which is before it reports that the client is connected.
  client.resume = ignoreResume;
  const rest = _parser._list.slice();
  _parser._list.consume(rest.length);
  if (rest.length > 0) conn.unshift(rest);
  return () => {
    client.resume = resume;
  };
}

function ignoreResume(): void {}

/** Parses the bytes that wait in the socket, also if the socket was destroyed since. */
export function parseUnread({ conn, _parser }: AedesClient): void {
  for (let chunk = conn.read() as Buffer | null; chunk !== null; chunk = conn.read() as Buffer | null)
    _parser.parse(chunk);
}

/**
 * Whether the peer has ended its side of the connection, even if its last bytes were not read. Node reports
 * the end only after they are read, and `readableEnded` is false until then.
 */
export function hasLeft({ conn, closed }: AedesClient): boolean {
  return closed || conn.destroyed || (conn as unknown as ReadableState)._readableState.ended;
}

interface ReadableState {
  readonly _readableState: { readonly ended: boolean };
}

/**
 * The socket knows the address of a peer that has left only if it was asked for it before: the broker asks
 * each.
 */
export function refusedClientOf(client: AedesClient): RefusedClient {
  return { client: client.id ?? "", address: client.conn.remoteAddress ?? "" };
}

/** Stops reading from the client's socket; TCP then slows it down. */
export function pauseReading(client: AedesClient): void {
  client.pause();
}

/**
 * Resumes reading. Aedes counts packets in progress in `_parsingBatch` and reads only at zero, but does not
 * decrement while paused. Without the reset, the socket would stall for ever.
 */
export function resumeReading(client: AedesClient): void {
  if (client.closed || !client._paused) return;
  client._parsingBatch = 0;
  client.resume();
}

/**
 * [MQTT-3.1.2-24] Any packet counts as a sign of life. Aedes restarts the timer only for packets that it
 * handles itself.
 */
export function refreshKeepAlive(client: AedesClient): void {
  client._keepaliveTimer?.refresh();
}

/** Makes the parser forget the CONNECT packet with its password; the parser needs only the version. */
export function forgetConnectPacket(client: AedesClient): void {
  client._parser.settings = { protocolVersion: 4 };
}
