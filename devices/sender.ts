import type { Acknowledgements } from "./acknowledgements.ts";
import { DeviceError } from "./errors.ts";
import type { ConnectionEnd, MqttConnection } from "./mqtt-connection.ts";
import type { Outbox } from "./outbox/outbox.ts";
import type { OutboxMessage } from "./outbox/outbox-reader.ts";
import type { RejectedMessage, RejectedStore } from "./outbox/rejected-store.ts";
import type { SendWindow } from "./send-window.ts";

export interface SenderParts {
  readonly outbox: Outbox;
  readonly rejected: RejectedStore;
  readonly window: SendWindow;
  readonly acknowledgements: Acknowledgements;
  readonly ackTimeoutMs: number;
  /** ms since the epoch. */
  readonly now: () => number;
  /** ms of a monotonic clock: a device's first time synchronisation may step the clock by years. */
  readonly elapsedMs: () => number;
  readonly observer: SenderObserver;
}

/** The part of a connection that sending needs. */
export type SendingConnection = Pick<MqttConnection, "publish" | "destroy">;

/** Told synchronously; must not throw. */
export interface SenderObserver {
  /** Messages were acknowledged or given up. */
  settled(): void;
  rejected(message: RejectedMessage & { forgotten: number }): void;
  warning(error: DeviceError): void;
}

/**
 * Moves messages from the outbox through the window onto the present connection, and settles acknowledged
 * ones.
 */
export class Sender {
  readonly #parts: SenderParts;
  readonly counts = { acknowledged: 0, resent: 0, rejected: 0 };
  #connection: SendingConnection | null = null;
  #hadProgress = false;
  #isFilling = false;
  #mayHaveMore = true;
  #ackTimer: NodeJS.Timeout | null = null;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** True if a message was acknowledged or given up since the last `connected`. */
  get hadProgress(): boolean {
    return this.#hadProgress;
  }

  get inFlight(): number {
    return this.#parts.window.inFlight;
  }

  connected(connection: SendingConnection): void {
    this.#connection = connection;
    this.#hadProgress = false;
    this.#pump();
  }

  /** There may be more to read from the outbox. */
  wake(): void {
    this.#mayHaveMore = true;
    this.#pump();
  }

  /** The outbox gave up messages up to this sequence. */
  dropped(upTo: number, error: DeviceError): void {
    const settled = this.#parts.window.dropUpTo(upTo);
    this.#parts.acknowledgements.failedUpTo(upTo, error);
    this.#settle(settled);
    this.#pump();
  }

  /** Resolves when a message that must be given up is in the rejected store. */
  async ended(end: ConnectionEnd): Promise<void> {
    this.#connection = null;
    this.#watchAcknowledgement();
    const { window, elapsedMs } = this.#parts;
    const refused = window.connectionEnded({ byPeer: end.byPeer, nowMs: elapsedMs() });
    if (refused) await this.#reject(refused);
  }

  #pump(): void {
    const connection = this.#connection;
    if (!connection) return;
    const { window, elapsedMs } = this.#parts;
    for (let next = window.next(elapsedMs()); next; next = window.next(elapsedMs())) {
      const { message, isResend } = next;
      if (isResend) this.counts.resent += 1;
      connection.publish({ ...message, isResend }, () => this.#acknowledged(message.sequence));
    }
    this.#watchAcknowledgement();
    if (!this.#isFilling) void this.#fill();
  }

  async #fill(): Promise<void> {
    const { window, outbox } = this.#parts;
    this.#isFilling = true;
    try {
      // No await between this condition and the end: a caller that comes meanwhile relies on the fill that is
      // under way.
      while (this.#connection && this.#mayHaveMore && window.wanted.maxMessages > 0) {
        this.#mayHaveMore = false;
        const messages = await outbox.read(window.wanted);
        if (messages.length > 0) this.#mayHaveMore = true;
        window.add(messages.filter(({ sequence }) => sequence > outbox.settledUpTo));
        this.#pump();
      }
    } catch (cause) {
      const text = "the outbox can't be read: check the disk, then open the client again";
      this.#parts.observer.warning(new DeviceError("OUTBOX_FAILED", text, { retryable: false, cause }));
    } finally {
      this.#isFilling = false;
    }
  }

  #acknowledged(sequence: number): void {
    this.#hadProgress = true;
    const settled = this.#parts.window.acknowledge(sequence);
    this.#settle(settled);
    this.#pump();
  }

  #settle(messages: readonly OutboxMessage[]): void {
    const { outbox, acknowledgements, observer } = this.#parts;
    for (const { sequence } of messages) {
      outbox.settle(sequence);
      acknowledgements.acknowledged(sequence);
    }
    this.counts.acknowledged += messages.length;
    if (messages.length > 0) observer.settled();
  }

  async #reject(message: OutboxMessage): Promise<void> {
    const { rejected, now, observer, window, outbox, acknowledgements } = this.#parts;
    const { topic, payload, sequence } = message;
    const id = Buffer.from(message.id).toString("hex");
    const rejection = { id, topic, payload: Uint8Array.from(payload), rejectedAtMs: now() };
    try {
      const { forgotten } = await rejected.add(rejection);
      this.#hadProgress = true;
      this.counts.rejected += 1;
      acknowledgements.failedUpTo(sequence, messageRejected(id, topic));
      outbox.settle(sequence);
      this.#settle(window.acknowledge(sequence).slice(1));
      observer.rejected({ ...rejection, forgotten });
      observer.settled();
    } catch (cause) {
      const text =
        "a refused message can't be moved to the rejected store, it stays in the outbox: check the disk";
      observer.warning(new DeviceError("OUTBOX_WRITE_FAILED", text, { retryable: true, cause }));
    }
  }

  /**
   * Ends a connection on which the oldest message waits too long for its PUBACK: MQTT resends only on a new
   * connection.
   */
  #watchAcknowledgement(): void {
    const { window, ackTimeoutMs, elapsedMs } = this.#parts;
    const sentAtMs = this.#connection ? window.oldestSentAtMs : null;
    if (sentAtMs === null && this.#ackTimer) {
      clearTimeout(this.#ackTimer);
      this.#ackTimer = null;
    }
    if (sentAtMs === null || this.#ackTimer) return;
    this.#ackTimer = setTimeout(
      () => {
        this.#ackTimer = null;
        const oldestMs = window.oldestSentAtMs;
        if (oldestMs !== null && elapsedMs() - oldestMs >= ackTimeoutMs)
          this.#connection?.destroy(acknowledgementMissing(ackTimeoutMs));
        else this.#watchAcknowledgement();
      },
      Math.max(1, sentAtMs + ackTimeoutMs - elapsedMs()),
    );
  }
}

function messageRejected(id: string, topic: string): DeviceError {
  return new DeviceError(
    "MESSAGE_REJECTED",
    `the gateway closed the connection on this message several times, so the message is in the rejected store: check that the device may publish to ${topic}, and check the message's size`,
    { retryable: false, details: { id, topic } },
  );
}

function acknowledgementMissing(ackTimeoutMs: number): DeviceError {
  return new DeviceError("ACK_TIMEOUT", `no acknowledgement for ${ackTimeoutMs} ms: connecting again`, {
    retryable: true,
  });
}
