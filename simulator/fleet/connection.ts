import { connect, type Socket } from "node:net";
import type { Lane } from "./lane.ts";
import {
  disconnectPacket,
  encodeConnect,
  type PacketListener,
  PacketReader,
  pingreqPacket,
  pubrelPacket,
} from "./mqtt-packets.ts";

export interface GatewayAddress {
  readonly host: string;
  readonly port: number;
}

export interface ConnectionOptions {
  /**
   * At least one. A connection that ended is opened again at the next address, as with devices behind a load
   * balancer.
   */
  readonly gateways: readonly GatewayAddress[];
  readonly clientId: string;
  readonly username?: string;
  readonly password?: Uint8Array;
  /** Clean Session = 0. */
  readonly isPersistent?: boolean;
}

/** How a connection ended. */
export type Ending =
  /** By a CONNACK with this return code. */
  | { readonly kind: "refused"; readonly returnCode: number }
  /** By the gateway. */
  | { readonly kind: "closed" }
  | { readonly kind: "error"; readonly error: NodeJS.ErrnoException }
  /** The gateway sent a packet that no server may send to a publisher. */
  | { readonly kind: "violated"; readonly fault: string }
  /** By the fleet itself; `silent` = no packet came for too long. */
  | { readonly kind: "cut" | "silent" };

export interface ConnectionOwner {
  onOpen(connection: Connection): void;
  onEnd(connection: Connection, ending: Ending, wasOpen: boolean): void;
}

/** A PINGREQ is sent after three quarters of this time without a packet. */
export const keepAliveS = 60;
const pingAfterMs = 750 * keepAliveS;

/** A socket with this many unwritten bytes gets no more. */
const unwrittenMaxBytes = 256 * 1024;

/** How long an abandoned connection of a device stays open, unread. */
const ghostMs = 5_000;

/** All sockets read into one buffer: each chunk is used up before the next one is read. */
const readBuffer = Buffer.allocUnsafe(64 * 1024);

/**
 * All sockets are written from one buffer. The buffer is replaced while the kernel has not accepted all of
 * it.
 */
const writeBufferBytes = 64 * 1024;
let writeBuffer = Buffer.allocUnsafe(writeBufferBytes);

type State = "idle" | "connecting" | "open";

/**
 * One MQTT connection to the gateway, which its owner opens again and again. Publishes its lane's messages.
 */
export class Connection implements PacketListener {
  readonly number: number;
  /** Consecutive ends before any acknowledgement. */
  failures = 0;
  /** Consecutive ends while publishes were unacknowledged. */
  refusals = 0;
  /** The owner's marks: the connection was open once; it is on the list of those that may publish. */
  wasOpen = false;
  isDirty = false;
  lane: Lane | null = null;
  readonly #options: ConnectionOptions;
  readonly #owner: ConnectionOwner;
  #socket: Socket | null = null;
  #reader = new PacketReader();
  #state: State = "idle";
  #ending: Ending = { kind: "closed" };
  /** Times by `performance.now()`. `progress` = last acknowledgement, or the start of waiting for one. */
  #progressAtMs = 0;
  #writtenAtMs = 0;
  #readAtMs = 0;
  #pingedAtMs = 0;
  #attempts = 0;
  /**
   * `atPubrec` = the device restarts at the next PUBREC, before its PUBREL; `now` = after it has read all
   * received packets.
   */
  #reboot: { readonly due: "atPubrec" | "now"; readonly keepsMessages: boolean } | null = null;

  constructor(number: number, options: ConnectionOptions, owner: ConnectionOwner) {
    this.number = number;
    this.#options = options;
    this.#owner = owner;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  open(): void {
    this.#state = "connecting";
    this.#ending = { kind: "closed" };
    this.#reader = new PacketReader();
    this.#progressAtMs = performance.now();
    const { gateways } = this.#options;
    const turn = (this.number + this.#attempts++) % gateways.length;
    const { host, port } = gateways[turn] as GatewayAddress;
    const onread = { buffer: readBuffer, callback: (bytes: number): boolean => this.#onRead(socket, bytes) };
    const socket: Socket = connect({ host, port, noDelay: true, onread });
    this.#socket = socket;
    socket.on("connect", () => socket.write(encodeConnect({ ...this.#options, keepAliveS })));
    socket.on("drain", () => this.pump(performance.now()));
    socket.on("error", (error) => {
      if (socket === this.#socket && this.#ending.kind === "closed") this.#ending = { kind: "error", error };
    });
    socket.on("close", () => {
      if (socket !== this.#socket) return;
      const wasOpen = this.#state === "open";
      this.#state = "idle";
      this.#socket = null;
      this.#owner.onEnd(this, this.#ending, wasOpen);
    });
  }

  /** Ends the connection without DISCONNECT, like a network failure. */
  cut(): void {
    this.#end({ kind: "cut" });
  }

  /**
   * Connects again while the open connection stays up for a while, like a device whose path to the gateway
   * broke unnoticed. Packets on the old connection are ignored.
   */
  takeOver(): void {
    const ghost = this.#socket;
    if (this.#state !== "open" || !ghost) return;
    ghost.pause();
    setTimeout(() => ghost.destroy(), ghostMs).unref();
    this.open();
  }

  /**
   * The device restarts: now, or at the next PUBREC. It forgets its packet identifiers, and perhaps its
   * messages.
   */
  reboot({ atPubrec, keepsMessages }: { readonly atPubrec: boolean; readonly keepsMessages: boolean }): void {
    this.#reboot = { due: atPubrec ? "atPubrec" : "now", keepsMessages };
    if (!atPubrec) this.#startAgain();
  }

  #startAgain(): void {
    const { keepsMessages = true } = this.#reboot ?? {};
    this.#reboot = null;
    this.lane?.forget(keepsMessages, performance.now());
    this.cut();
  }

  /** Sends DISCONNECT and ends. */
  leave(): void {
    const isOpen = this.#state === "open";
    this.#ending = { kind: "cut" };
    if (isOpen) this.#socket?.end(disconnectPacket);
    else this.#socket?.destroy();
  }

  /** Detects missing traffic: no packet arrived, or none was sent for long. Call this every few seconds. */
  check(nowMs: number, limits: { connectMs: number; ackMs: number }): void {
    const waitedMs = nowMs - this.#progressAtMs;
    if (this.#state === "connecting" && waitedMs > limits.connectMs) this.#end({ kind: "silent" });
    if (this.#state !== "open") return;
    const isUnacked = (this.lane?.unacked ?? 0) > 0;
    const isPinging = this.#pingedAtMs > this.#readAtMs;
    if ((isUnacked && waitedMs > limits.ackMs) || (isPinging && nowMs - this.#pingedAtMs > limits.ackMs))
      this.#end({ kind: "silent" });
    else if (!isPinging && nowMs - this.#writtenAtMs > pingAfterMs) {
      this.#pingedAtMs = nowMs;
      this.#socket?.write(pingreqPacket);
    }
  }

  onConnack(returnCode: number, isSessionPresent: boolean): void {
    if (this.#state !== "connecting") this.#end({ kind: "violated", fault: "a second CONNACK" });
    else if (returnCode !== 0) this.#end({ kind: "refused", returnCode });
    else this.#opened(this.#readAtMs, isSessionPresent);
  }

  onPuback(packetId: number): void {
    this.#progressed();
    this.lane?.acknowledge(packetId, this.#readAtMs);
  }

  onPubrec(packetId: number): void {
    this.#progressed();
    this.lane?.received(packetId, this.#readAtMs);
    if (this.#reboot) this.#reboot = { ...this.#reboot, due: "now" };
    else this.#socket?.write(pubrelPacket(packetId));
  }

  onPubcomp(packetId: number): void {
    this.#progressed();
    this.lane?.complete(packetId);
  }

  #progressed(): void {
    this.failures = 0;
    this.refusals = 0;
    this.#progressAtMs = this.#readAtMs;
  }

  /**
   * Publishes due messages as far as the window and the socket accept them, in one write if they fit the
   * buffer.
   */
  pump(nowMs: number): void {
    const lane = this.lane;
    if (this.#state !== "open" || !lane) return;
    const wasWaiting = lane.unacked > 0;
    const writePacket = (buffer: Uint8Array, at: number) => lane.writeNext(buffer, at, nowMs);
    this.#writePackets(lane.packetBytesMax, { nowMs, unwrittenMaxBytes }, writePacket);
    if (!wasWaiting) this.#progressAtMs = nowMs;
  }

  #opened(nowMs: number, isSessionPresent: boolean): void {
    this.#state = "open";
    this.#progressAtMs = nowMs;
    this.#writtenAtMs = nowMs;
    this.#owner.onOpen(this);
    const lane = this.lane;
    if (!lane) return;
    lane.resume(isSessionPresent);
    const unacked = lane.unackedPacketIds();
    this.#writePackets(
      lane.packetBytesMax,
      { nowMs, unwrittenMaxBytes: Number.POSITIVE_INFINITY },
      (buffer, at) => {
        const { value, done } = unacked.next();
        return done ? 0 : lane.writeAgain(buffer, at, value);
      },
    );
    lane.resumed();
    this.pump(nowMs);
  }

  /**
   * Fills buffers with packets and writes them until `writePacket` has no more (it returns 0) or the socket
   * is full.
   */
  #writePackets(
    packetBytesMax: number,
    limits: { nowMs: number; unwrittenMaxBytes: number },
    writePacket: (buffer: Uint8Array, at: number) => number,
  ): void {
    const socket = this.#socket;
    if (!socket) return;
    for (let hasMore = true; hasMore && socket.writableLength < limits.unwrittenMaxBytes; ) {
      if (writeBuffer.length < packetBytesMax) writeBuffer = Buffer.allocUnsafe(packetBytesMax);
      let end = 0;
      while (hasMore && end + packetBytesMax <= writeBuffer.length) {
        const bytes = writePacket(writeBuffer, end);
        hasMore = bytes > 0;
        end += bytes;
      }
      if (end === 0) return;
      this.#writtenAtMs = limits.nowMs;
      socket.write(writeBuffer.subarray(0, end));
      if (socket.writableLength > 0) writeBuffer = Buffer.allocUnsafe(writeBufferBytes);
    }
  }

  #onRead(socket: Socket, bytes: number): boolean {
    if (socket !== this.#socket) return true;
    this.#readAtMs = performance.now();
    const fault = this.#reader.read(readBuffer, bytes, this);
    if (this.#reboot?.due === "now") this.#startAgain();
    else if (fault === null) this.pump(this.#readAtMs);
    else this.#end({ kind: "violated", fault });
    return true;
  }

  #end(ending: Ending): void {
    this.#ending = ending;
    this.#socket?.destroy();
  }
}
