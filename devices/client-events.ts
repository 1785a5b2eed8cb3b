import type { DeviceError } from "./errors.ts";
import type { RejectedMessage } from "./outbox/rejected-store.ts";

export interface DeviceClientEvents {
  connected: [{ sessionPresent: boolean }];
  /** The connection ended or could not be made; the next attempt starts after `nextAttemptMs`. */
  disconnected: [{ error: DeviceError; nextAttemptMs: number }];
  /** Everything that was published is acknowledged or given up. */
  drained: [];
  /**
   * The gateway closed the connection on this message 5 times in a row. The message is in the rejected store,
   * which deleted `forgotten` older ones.
   */
  rejected: [RejectedMessage & { forgotten: number }];
  /** The outbox was full and gave up its oldest messages (`drop-oldest`). */
  dropped: [{ messages: number }];
  /** Messages in the outbox could not be read back. */
  damaged: [{ messages: number }];
  /** The outbox accepts no more messages (OUTBOX_FAILED): close the client and open it again. */
  failed: [DeviceError];
  /** A fault that needs no action of the program: SUBSCRIBE_REFUSED, HANDLER_FAILED, OUTBOX_WRITE_FAILED. */
  warning: [DeviceError];
}
