import type { DeviceError } from "../errors.ts";
import type { OutboxObserver } from "./outbox.ts";

/** Passes events on to the client, which is created after the outbox. */
export class OutboxRelay implements OutboxObserver {
  target: OutboxObserver | null = null;

  stored(): void {
    this.target?.stored();
  }

  dropped(drop: { messages: number; upTo: number }): void {
    this.target?.dropped(drop);
  }

  damaged(damage: { messages: number }): void {
    this.target?.damaged(damage);
  }

  failed(error: DeviceError): void {
    this.target?.failed(error);
  }
}
